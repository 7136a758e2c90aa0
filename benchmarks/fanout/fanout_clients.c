/* Many websocket clients in one process, as cheap as can be: they read, note when which frame came, and acknowledge.
 *
 *     fanout_clients PORT CLIENTS STUCK ACK_MS SUBSCRIPTION
 *
 * Of CLIENTS connections the first STUCK never read. SUBSCRIPTION is sent first, in hexadecimal digits; "-" is none.
 * ACK_MS is the least time between two acknowledgements of a client; 0 is none at all. "ready" on the standard output
 * says that all are connected; the end of the standard input is the end, and what was noted follows: for each message
 * with samples client and bytes (32 bits each), the time in its first block, and the monotonic time in nanoseconds at
 * which it was read (64 bits each).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* After the first frame of a turn it does not sleep until the last has come: to wake somebody on the same machine costs
 * the sender several microseconds, which a laptop at the other end of a network does not. */
static const uint64_t AWAKE_NS = 2000000;

enum { ROOM = 192 * 1024, HEAD_LOOKED_AT = 256, STUCK_BUFFER = 4096 };

struct client {
    int fd;
    uint32_t held;
    uint64_t acked_ns;
    uint8_t *bytes;
};

struct note {
    uint32_t client, size;
    uint64_t stamp, came_ns;
};

static struct client *clients;
static struct note *notes;
static size_t noted, room;
static uint64_t ack_ns;

static void fail(const char *what)
{
    fprintf(stderr, "clients: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* A short frame, masked with zeros: the payload stays as it is. */
static void say(int fd, uint8_t opcode, const uint8_t *payload, size_t size)
{
    uint8_t frame[8 + 1024];
    size_t head = 2;
    frame[0] = 0x80 | opcode;
    if (size < 126) {
        frame[1] = 0x80 | (uint8_t)size;
    } else {
        frame[1] = 0x80 | 126;
        frame[head++] = (uint8_t)(size >> 8);
        frame[head++] = (uint8_t)size;
    }
    memset(frame + head, 0, 4);
    memcpy(frame + head + 4, payload, size);
    if (send(fd, frame, head + 4 + size, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
        fail("send");
}

static uint32_t msgpack_uint(const uint8_t *at)
{
    switch (at[0]) {
    case 0xcc: return at[1];
    case 0xcd: return (uint32_t)at[1] << 8 | at[2];
    case 0xce: return (uint32_t)at[1] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 8 | at[4];
    default: return at[0];
    }
}

static void acknowledge(struct client *client, const uint8_t *payload, size_t looked_at, uint64_t came_ns)
{
    static const char head[] = "\x82\xa2op\xa3" "ack\xa4subs\x91\x92\x01\xce";
    uint8_t told[sizeof head - 1 + 4];
    const uint8_t *seq = memmem(payload, looked_at, "\xa3seq", 4);
    if (!ack_ns || !seq || came_ns - client->acked_ns < ack_ns)
        return;
    client->acked_ns = came_ns;
    memcpy(told, head, sizeof head - 1);
    uint32_t number = htobe32(msgpack_uint(seq + 4));
    memcpy(told + sizeof head - 1, &number, 4);
    say(client->fd, 2, told, sizeof told);
}

static void take(struct client *client, uint8_t opcode, const uint8_t *payload, size_t size, uint64_t came_ns)
{
    size_t looked_at = size < HEAD_LOOKED_AT ? size : HEAD_LOOKED_AT;
    if (opcode == 9)
        say(client->fd, 10, payload, size < 125 ? size : 125);
    if (opcode == 8) {
        fprintf(stderr, "clients: client %td was closed\n", client - clients);
        exit(1);
    }
    if (opcode != 2 || size < 6 || memcmp(payload + 1, "\xa2op\xa1" "d", 5))
        return;
    const uint8_t *stamp = memmem(payload, looked_at, "\xa2t0\xcf", 4);
    if (!stamp)
        return;
    if (noted == room) {
        room = room ? 2 * room : 1 << 16;
        if (!(notes = realloc(notes, room * sizeof *notes)))
            fail("memory");
    }
    uint64_t value;
    memcpy(&value, stamp + 4, 8);
    notes[noted++] = (struct note){(uint32_t)(client - clients), (uint32_t)size, be64toh(value), came_ns};
    acknowledge(client, payload, looked_at, came_ns);
}

static void listen_to(struct client *client)
{
    ssize_t got = recv(client->fd, client->bytes + client->held, ROOM - client->held, 0);
    uint64_t came_ns = now_ns();
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        fail("a connection ended");
    client->held += (uint32_t)got;
    size_t at = 0;
    while (client->held - at >= 2) {
        const uint8_t *frame = client->bytes + at;
        size_t head = 2, size = frame[1] & 0x7f;
        if (size >= 126) {
            size_t wide = size == 126 ? 2 : 8;
            if (client->held - at < 2 + wide)
                break;
            for (size = 0; head < 2 + wide; head++)
                size = size << 8 | frame[head];
        }
        if (client->held - at < head + size)
            break;
        take(client, frame[0] & 0x0f, frame + head, size, came_ns);
        at += head + size;
    }
    client->held -= (uint32_t)at;
    memmove(client->bytes, client->bytes + at, client->held);
}

static void join(struct client *client, int port, int is_stuck, const uint8_t *subscription, size_t size)
{
    char request[400];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client->bytes = malloc(ROOM);
    client->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (!client->bytes || client->fd < 0)
        fail("socket");
    if (is_stuck)
        setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &(int){STUCK_BUFFER}, sizeof(int));
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (connect(client->fd, (struct sockaddr *)&to, sizeof to))
        fail("connect");
    int length = snprintf(request, sizeof request,
                          "GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                          "Sec-WebSocket-Protocol: insiders.gw.v1+msgpack\r\n\r\n", port);
    if (send(client->fd, request, (size_t)length, MSG_NOSIGNAL) != length)
        fail("send");
    const uint8_t *end;
    while (!(end = memmem(client->bytes, client->held, "\r\n\r\n", 4))) {
        ssize_t got = recv(client->fd, client->bytes + client->held, ROOM - client->held, 0);
        if (got <= 0)
            fail("no answer to the handshake");
        client->held += (uint32_t)got;
    }
    if (memcmp(client->bytes, "HTTP/1.1 101", 12)) {
        fprintf(stderr, "clients: %.*s\n", (int)client->held, (char *)client->bytes);
        exit(1);
    }
    client->held -= (uint32_t)(end + 4 - client->bytes);
    memmove(client->bytes, end + 4, client->held);
    if (size)
        say(client->fd, 1 + 1, subscription, size);
    fcntl(client->fd, F_SETFL, O_NONBLOCK);
}

int main(int argc, char **argv)
{
    uint8_t subscription[1000];
    size_t size = 0;
    if (argc != 6)
        return 2;
    int port = atoi(argv[1]), count = atoi(argv[2]), stuck = atoi(argv[3]);
    ack_ns = (uint64_t)atoi(argv[4]) * 1000000u;
    for (const char *at = argv[5]; *at != '-' && at[0] && at[1] && size < sizeof subscription; at += 2)
        sscanf(at, "%2hhx", &subscription[size++]);
    int poll = epoll_create1(0);
    if (!(clients = calloc((size_t)count, sizeof *clients)))
        fail("memory");
    for (int i = 0; i < count; i++) {
        join(&clients[i], port, i < stuck, subscription, size);
        /* As with people, who have not all come at once: their acknowledgements are spread. */
        clients[i].acked_ns = now_ns() - ack_ns * (uint64_t)i / (uint64_t)count;
        struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = &clients[i]};
        if (i >= stuck && epoll_ctl(poll, EPOLL_CTL_ADD, clients[i].fd, &wanted))
            fail("epoll");
    }
    struct epoll_event input = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, STDIN_FILENO, &input))
        fail("epoll");
    puts("ready");
    fflush(stdout);
    for (uint64_t awake_ns = 0;;) {
        struct epoll_event events[512];
        int many = epoll_wait(poll, events, 512, now_ns() < awake_ns ? 0 : -1);
        if (many > 0)
            awake_ns = now_ns() + AWAKE_NS;
        for (int i = 0; i < many; i++) {
            if (events[i].data.ptr) {
                listen_to(events[i].data.ptr);
            } else {
                fwrite(notes, sizeof *notes, noted, stdout);
                return fflush(stdout) ? 1 : 0;
            }
        }
    }
}
