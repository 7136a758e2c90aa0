"""A stand-in for bluetoothd: an `org.bluez` service with Bluetooth devices in the air, on a private D-Bus."""
