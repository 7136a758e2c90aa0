"""Settings: what a file may say, and that every mistake in it is told in words that help."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from gateway.cloud.endpoints import ENDPOINTS
from gateway.config import (
    EXIT_CONFIG,
    AccessSettings,
    BluetoothSettings,
    CloudSettings,
    ConfigError,
    GatewaySettings,
    LiveSettings,
    Mistake,
    PairingSettings,
    RecordingsSettings,
    SensorSettings,
    Settings,
    TelemetrySettings,
    TrackerSettings,
    describe,
    load,
)
from gateway.uploads.keeping.spool import FOLDER

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "config.example.toml"
MINIMAL = '[cloud]\nusername = "u"\nclient_id = "c"\n'
SECTIONS: dict[str, type[BaseModel]] = {
    "gateway": GatewaySettings,
    "cloud": CloudSettings,
    "telemetry": TelemetrySettings,
    "bluetooth": BluetoothSettings,
    "pairing": PairingSettings,
    "recordings": RecordingsSettings,
    "live": LiveSettings,
    "access": AccessSettings,
    "trackers": TrackerSettings,
}


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "config.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def mistakes(folder: Path, text: str | bytes) -> tuple[Mistake, ...]:
    with pytest.raises(ConfigError) as caught:
        load(written(folder, text))
    return caught.value.mistakes


def mistake(folder: Path, text: str) -> Mistake:
    (only,) = mistakes(folder, MINIMAL + text)
    return only


def outcome(path: Path) -> ConfigError | None:
    try:
        load(path)
    except ConfigError as error:
        return error
    return None


def everything_in_example() -> dict[str, Any]:
    """The example with the options that are commented out taken in."""
    return tomllib.loads(re.sub(r"(?m)^#(?=\w+ = )", "", EXAMPLE.read_text(encoding="utf-8")))


def test_example_loads() -> None:
    assert load(EXAMPLE).trackers[0].serial_number == "012345"


def test_example_loads_with_every_option_taken_in(tmp_path: Path) -> None:
    text = re.sub(r"(?m)^#(?=\w+ = )", "", EXAMPLE.read_text(encoding="utf-8"))
    settings = load(written(tmp_path, text))
    assert settings.trackers[0].number == 7
    assert settings.cloud.paths.keys() == ENDPOINTS.keys()


@pytest.mark.parametrize("section", SECTIONS)
def test_example_shows_every_option_and_no_other(section: str) -> None:
    shown = everything_in_example()[section]
    assert set(shown[0] if section == "trackers" else shown) == set(SECTIONS[section].model_fields)


def test_example_shows_the_true_defaults() -> None:
    for section, model in SECTIONS.items():
        for name, field in model.model_fields.items():
            has_default = field.default is not None and field.default_factory is None and not field.is_required()
            if section != "trackers" and has_default and name not in {"paths", "names"}:
                assert everything_in_example()[section][name] == field.default, name


def test_example_shows_the_true_endpoints() -> None:
    shown = everything_in_example()["cloud"]["paths"]
    assert shown == {name: f"{endpoint.method} {endpoint.path}" for name, endpoint in ENDPOINTS.items()}


def test_every_section_of_the_models_is_looked_at_by_these_tests() -> None:
    assert SECTIONS.keys() == Settings.model_fields.keys()


def test_every_option_says_what_is_allowed() -> None:
    models: list[type[BaseModel]] = [Settings, *SECTIONS.values()]
    for model in models:
        assert all(field.description for field in model.model_fields.values())


def test_the_shortest_file_gets_the_defaults(tmp_path: Path) -> None:
    settings = load(written(tmp_path, MINIMAL))
    assert settings.cloud.api_url == "https://api.insiders.live/v1/"
    assert settings.cloud.websocket_url == "wss://api.insiders.live/v1/ws/"
    assert settings.cloud.token_url == "https://account.insiders.live/"
    assert (settings.live.host, settings.live.port) == ("127.0.0.1", 8770)
    assert settings.telemetry.ring_minutes == 30
    assert settings.trackers == ()
    assert settings.gateway.site


def test_state_directory_of_systemd_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/insiders-gateway:/var/lib/other")
    assert load(written(tmp_path, MINIMAL)).gateway.state_dir == Path("/var/lib/insiders-gateway")


def test_state_directory_may_be_below_home(tmp_path: Path) -> None:
    settings = load(written(tmp_path, MINIMAL + '[gateway]\nstate_dir = "~/x"\n'))
    assert settings.gateway.state_dir == Path.home() / "x"


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    settings = load(written(tmp_path, MINIMAL))
    with pytest.raises(ValueError, match="frozen"):
        settings.live.port = 1


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    text = """
        username = "at the wrong place"
        [gateway]
        state_dir = "relative"
        [cloud]
        usrname = "u"
        client_id = ""
        api_url = "http://example.org/"
        [cloud.paths]
        devicez = "devices/"
        job = "/jobs/{job}/"
        [live]
        port = 70000
        host = "everywhere"
        [telemetry]
        ring_minutes = 0
        [[trackers]]
        serial_number = "a"
        number = 1
        [[trackers]]
        serial_number = "a"
        number = "1"
        [[trackers]]
        serial_number = 12345
        number = 1
    """
    assert {m.key for m in mistakes(tmp_path, text)} == {
        "username",
        "gateway.state_dir",
        "cloud.username",
        "cloud.usrname",
        "cloud.client_id",
        "cloud.api_url",
        "cloud.paths.devicez",
        "cloud.paths.job",
        "live.port",
        "live.host",
        "telemetry.ring_minutes",
        "trackers[2].serial_number",
        "trackers[2].number",
        "trackers[3].serial_number",
        "trackers[3].number",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[live]\nprot = 1", "live.prot: found an unknown key, expected port"),
        ("[lvie]\nport = 1", "lvie: found an unknown key, expected live"),
        ("[gateway]\nport = 1", "gateway.port: found an unknown key, expected live.port"),
        (
            "[recordings]\ntracker_pattern = '^(?P<tracker>[^/]+)@#'",
            'recordings.tracker_pattern: found "^(?P<tracker>[^/]+)@#", expected a path in quotes with {tracker} in it',
        ),
        ("[recordings]\ninbox = 'inbox'", 'recordings.inbox: found "inbox", expected an absolute folder'),
        ("[recordings]\nkeep_days = 31", "recordings.keep_days: found 31, expected whole days from 0 to 30"),
        ("[live]\nport = true", "live.port: found true, expected a whole number from 0 (any free port) to 65535"),
        ("[live]\nport = '80'", 'live.port: found "80", expected a whole number from 0 (any free port) to 65535'),
        ("live = 3", "cloud.live: found an unknown key, expected"),
        ("[cloud.paths]\ndevicez = 'x/'", "cloud.paths.devicez: found an unknown operation, expected device"),
        ("[cloud.paths]\njob = 3", 'cloud.paths.job: found 3, expected "path/" or "METHOD path/"'),
        ("[cloud.paths]\njob = 'job/'", 'cloud.paths.job: found "job/", expected "path/" or "METHOD path/": the path'),
        ("[trackers]\nserial_number = 'a'", "trackers: found a section, expected sections [[trackers]], with double"),
        ("[[trackers]]\nnumber = 1", "trackers[1].serial_number: found nothing, expected the serial number"),
        ("[[trackers]]\nserial_number = ' '", 'trackers[1].serial_number: found " ", expected the serial number'),
        (f"[gateway]\nsite = '{'x' * 201}'", f'gateway.site: found "{"x" * 37}…", expected at most 200 characters'),
        ('[bluetooth]\nenabled = "no"', 'bluetooth.enabled: found "no", expected true or false, without quotes'),
        ("[bluetooth]\nadapter = 'hci01'", 'bluetooth.adapter: found "hci01", expected the name of an adapter'),
        ("[bluetooth]\nadapter = 'usb0'", 'bluetooth.adapter: found "usb0", expected the name of an adapter in quotes'),
        ('[pairing]\nmode = "force"', 'pairing.mode: found "force", expected "observe", "propose" or "enforce"'),
        (
            "[[trackers]]\nserial_number = 'a'\nheart_rate_sensor = 'a0:9e:1a:12:34:56'",
            'trackers[1].heart_rate_sensor: found "a0:9e:1a:12:34:56", expected "none", or { address =',
        ),
        (
            "[[trackers]]\nserial_number = 'a'\npower_meter = { address = 'a0:9e:1a', name = 'x' }",
            "trackers[1].power_meter: found a section, expected an address of six octets",
        ),
        (
            "[[trackers]]\nserial_number = 'a'\npower_meter = { address = 'a0:9e:1a:12:34:56', name = '' }",
            "trackers[1].power_meter: found a section, expected address and name as texts in quotes",
        ),
        ("[telemetry]\nring_minutes = 121", "telemetry.ring_minutes: found 121, expected whole minutes from 1 to 120"),
    ],
)
def test_a_mistake_names_key_find_and_what_is_allowed(tmp_path: Path, text: str, expected: str) -> None:
    assert str(mistake(tmp_path, text)).startswith(expected)


@pytest.mark.parametrize("inbox", ["", "state", "state/recordings", "state/recordings/a", "state/../state", "link"])
def test_an_inbox_above_or_in_the_folder_of_what_was_taken_is_refused(tmp_path: Path, inbox: str) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "link").symlink_to("state")
    text = f"[gateway]\nstate_dir = '{tmp_path}/state'\n[recordings]\ninbox = '{tmp_path}/{inbox}'"
    said = mistake(tmp_path, text)
    assert said.key == "recordings.inbox"
    assert said.allowed.startswith(f"a folder neither above nor in {tmp_path / 'state' / FOLDER}, where")


@pytest.mark.parametrize("inbox", ["inbox", "state/inbox", "state/recordings-of-others", "state/recording"])
def test_an_inbox_beside_it_is_fine(tmp_path: Path, inbox: str) -> None:
    text = f"[gateway]\nstate_dir = '{tmp_path}/state'\n[recordings]\ninbox = '{tmp_path}/{inbox}'"
    assert load(written(tmp_path, MINIMAL + text)).recordings.inbox == tmp_path / inbox


@pytest.mark.parametrize(
    "pattern", ["{tracker}_*", "T{tracker}.asi", "*/{tracker} *.asi", "a b/{tracker}/*", "{tracker}"]
)
def test_a_pattern_says_where_the_tracker_stands(tmp_path: Path, pattern: str) -> None:
    text = MINIMAL + f"[recordings]\ntracker_pattern = '{pattern}'"
    assert load(written(tmp_path, text)).recordings.tracker_pattern == pattern


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "*",
        "tracker",
        "{Tracker}",
        "{tracker}*",
        "*{tracker}",
        "{tracker}{tracker}",
        "{tracker}_{x}",
        "/{tracker}",
        "a//{tracker}",
        "{tracker}/",
        "{tracker}" + "x" * 200,
    ],
)
def test_a_pattern_that_is_not_clear_is_refused(tmp_path: Path, pattern: str) -> None:
    assert mistake(tmp_path, f"[recordings]\ntracker_pattern = '{pattern}'").key == "recordings.tracker_pattern"


def test_a_sensor_may_be_written_in_any_form_of_its_address(tmp_path: Path) -> None:
    text = "[[trackers]]\nserial_number = 'a'\nheart_rate_sensor = { address = 'A0-9E-1A-12-34-56', name = ' H10 ' }"
    (tracker,) = load(written(tmp_path, MINIMAL + text)).trackers
    assert tracker.heart_rate_sensor == SensorSettings(address="a0:9e:1a:12:34:56", name="H10")
    assert tracker.power_meter is None


def test_no_two_trackers_have_one_sensor(tmp_path: Path) -> None:
    first = "[[trackers]]\nserial_number = 'a'\nheart_rate_sensor = { address = 'A0-9E-1A-12-34-56', name = 'H10' }\n"
    second = "[[trackers]]\nserial_number = 'b'\npower_meter = { address = 'a09e1a123456', name = 'H10' }"
    assert mistake(tmp_path, first + second).key == "trackers[2].power_meter"
    assert mistake(tmp_path, first + second).allowed == "a sensor that no other tracker has"


def test_wrong_type_of_a_whole_section(tmp_path: Path) -> None:
    (only,) = mistakes(tmp_path, "live = 3\n" + MINIMAL)
    assert str(only) == "live: found 3, expected a section [live]"


def test_an_empty_file_misses_what_has_no_default(tmp_path: Path) -> None:
    assert [m.key for m in mistakes(tmp_path, "")] == ["cloud.username", "cloud.client_id"]


def test_description_has_one_line_per_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, '[live]\nport = "two\\nlines"\n"a\\nkey" = 1'))
    assert len(describe(caught.value).splitlines()) == len(caught.value.mistakes) == 4


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "0.0.0.0", "::", "192.168.1.4"])
def test_live_host_is_an_address_of_this_machine(tmp_path: Path, host: str) -> None:
    assert load(written(tmp_path, f'{MINIMAL}[live]\nhost = "{host}"')).live.host == host


@pytest.mark.parametrize("host", ["gateway.local", "localhost.example.org", "", "*", "10.0.0.1/8"])
def test_live_host_that_is_no_address_is_refused_with_what_to_write(tmp_path: Path, host: str) -> None:
    refused = mistake(tmp_path, f'[live]\nhost = "{host}"')
    assert "0.0.0.0 for laptops" in refused.allowed


@pytest.mark.parametrize("name", ["gateway.example.org:8770", "https://gateway", "", "a b", "-" * 64])
def test_a_further_name_is_a_name_alone(tmp_path: Path, name: str) -> None:
    assert "without port" in mistake(tmp_path, f'[live]\nnames = ["{name}"]').allowed


@pytest.mark.parametrize("given", ["certificate", "private_key"])
def test_certificate_and_key_come_together(tmp_path: Path, given: str) -> None:
    other = {"certificate": "private_key", "private_key": "certificate"}[given]
    assert mistake(tmp_path, f'[live]\n{given} = "/etc/gateway.pem"').key == f"live.{other}"


def test_a_certificate_is_named_by_its_whole_path(tmp_path: Path) -> None:
    found = mistakes(tmp_path, f'{MINIMAL}[live]\ncertificate = "a.pem"\nprivate_key = "b.pem"')
    assert [m.key for m in found] == ["live.certificate", "live.private_key"]


@pytest.mark.parametrize(
    ("key", "url", "kept"),
    [
        ("api_url", "https://example.org", "https://example.org/"),
        ("api_url", "https://example.org/v2", "https://example.org/v2/"),
        ("api_url", "http://127.0.0.1:8771/v1/", "http://127.0.0.1:8771/v1/"),
        ("token_url", "http://[::1]:8771/", "http://[::1]:8771/"),
        ("websocket_url", "ws://localhost:1/ws", "ws://localhost:1/ws/"),
    ],
)
def test_bases_end_in_a_slash(tmp_path: Path, key: str, url: str, kept: str) -> None:
    settings = load(written(tmp_path, f'{MINIMAL}{key} = "{url}"'))
    assert getattr(settings.cloud, key) == kept


@pytest.mark.parametrize(
    ("key", "url"),
    [
        ("api_url", "http://example.org/"),
        ("api_url", "wss://example.org/"),
        ("websocket_url", "ws://example.org/"),
        ("websocket_url", "https://example.org/"),
        ("token_url", "http://127.0.0.1.example.org/"),
        ("token_url", "https:///path/"),
        ("token_url", "example.org"),
        ("token_url", "https://example.org:port/"),
        ("token_url", "https://[::1/"),
        ("token_url", "https://example.org/?a=b"),
        ("token_url", "https://example.org/#a"),
        ("token_url", "https://user:word@example.org/"),
        ("token_url", ""),
    ],
)
def test_bases_that_are_refused(tmp_path: Path, key: str, url: str) -> None:
    assert mistake(tmp_path, f'{key} = "{url}"').key == f"cloud.{key}"


@pytest.mark.parametrize(
    "text",
    [
        'password = "hunter2"',
        'client_secret = "hunter2"',
        'INSIDERS_PASSWORD = "hunter2"',
        '[live]\nclient_secret = "hunter2"',
        '[passwords]\nmine = "hunter2"',
        'token_url = "https://me:hunter2@example.org/"',
        'token_url = "https://example.org/?key=hunter2"',
        'api_url = "me:hunter2@example.org"',
        '[cloud.paths]\njob = "me:hunter2@jobs/"',
        'paths = "me:hunter2@jobs/"',
        'password = hunter2"',
        'password = "hunter2',
        'password "hunter2"',
    ],
)
def test_a_secret_in_the_file_is_not_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, MINIMAL + text))
    assert "hunter2" not in describe(caught.value) + repr(caught.value)


def test_a_secret_in_the_file_is_told_where_it_belongs(tmp_path: Path) -> None:
    allowed = mistake(tmp_path, 'password = "x"').allowed
    assert "INSIDERS_PASSWORD" in allowed
    assert "$CREDENTIALS_DIRECTORY" in allowed


def test_broken_toml_gives_line_and_column(tmp_path: Path) -> None:
    (only,) = mistakes(tmp_path, "[live]\nport = \n")
    assert only.key == str(tmp_path / "config.toml")
    assert "at line 2, column 8" in only.found


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "none.toml")
    assert "no such file" in str(caught.value)
    assert "config.example.toml" in str(caught.value)
    assert len(caught.value.mistakes) == 1


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a file this user can read"):
        load(tmp_path)


def test_a_byte_order_mark_and_windows_lines_are_fine(tmp_path: Path) -> None:
    text = MINIMAL.replace("\n", "\r\n").encode("utf-8-sig")
    assert load(written(tmp_path, text)).cloud.username == "u"


def test_nesting_without_end_is_a_mistake(tmp_path: Path) -> None:
    assert len(mistakes(tmp_path, "a = " + "[" * 100_000)) == 1


@given(st.binary(max_size=200))
def test_whatever_the_file_holds_there_are_settings_or_mistakes(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes
) -> None:
    path = written(tmp_path_factory.getbasetemp(), MINIMAL.encode() + noise)
    found = outcome(path)
    assert found is None or found.mistakes


_WORDS = st.text("ab/:@[]{}~ \n\u2028é", max_size=12)
_SCALARS = st.one_of(st.integers(), _WORDS, st.booleans(), st.floats())
_VALUES = st.recursive(_SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner))
_KEYS = st.one_of(st.sampled_from(sorted({k for m in SECTIONS.values() for k in m.model_fields})), _WORDS)
_FILES = st.dictionaries(
    st.sampled_from([*SECTIONS, "other"]),
    _VALUES | st.dictionaries(_KEYS, _VALUES) | st.lists(st.dictionaries(_KEYS, _VALUES), max_size=3),
)


@given(_FILES)
def test_whatever_the_values_are_each_mistake_is_one_line(monkeypatch_module: pytest.MonkeyPatch, raw: Any) -> None:
    monkeypatch_module.setattr("gateway.config._read", lambda _: raw)
    found = outcome(Path("any"))
    assert found is None or len(describe(found).split("\n")) == len(found.mistakes) > 0


@pytest.fixture(scope="module")
def monkeypatch_module() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def test_exit_status_is_the_one_the_unit_does_not_restart_after() -> None:
    unit = (ROOT / "systemd/insiders-gateway.service").read_text(encoding="utf-8")
    assert f"RestartPreventExitStatus={EXIT_CONFIG}\n" in unit
