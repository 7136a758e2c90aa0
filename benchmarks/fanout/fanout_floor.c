/* What nobody can do cheaper: sends the same frame to every client at a pace, and nothing else.
 *
 *     fanout_floor PAYLOAD_FILE STAMP_AT PERIOD_MS SEND_BUFFER
 *
 * Prints its port. The eight bytes at STAMP_AT of the payload become the monotonic time in nanoseconds at which a turn
 * begins. Who has not taken the frame before is passed over. What clients say is not read, but for the handshake, all of
 * which are taken for the one with the key of the websocket standard's own example.
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

enum { MOST = 2000, LARGEST = 70000, UNSENT = 16 * 1024 };

struct client {
    int fd, is_joined;
    uint32_t asked, left;
    char request[1000];
    uint8_t *rest;
};

static struct client clients[MOST];
static int count, poll;
static uint8_t frame[LARGEST];
static size_t size;
static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                             "Sec-WebSocket-Protocol: insiders.gw.v1+msgpack\r\n\r\n";

static void fail(const char *what)
{
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void load(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail(path);
    size_t length = fread(frame + 4, 1, 65535, file);
    fclose(file);
    frame[0] = 0x82;
    frame[1] = 126;
    frame[2] = (uint8_t)(length >> 8);
    frame[3] = (uint8_t)length;
    size = length + 4;
}

static void write_to(struct client *client, const uint8_t *bytes, size_t length)
{
    ssize_t sent = send(client->fd, bytes, length, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN)
            return;
        sent = 0;
    }
    client->left = (uint32_t)(length - (size_t)sent);
    if (client->left && !client->rest && !(client->rest = malloc(LARGEST)))
        fail("memory");
    if (client->left)
        memmove(client->rest, bytes + sent, client->left);
}

static void turn(size_t stamp_at)
{
    uint64_t stamp = htobe64(now_ns());
    memcpy(frame + 4 + stamp_at, &stamp, 8);
    for (int i = 0; i < count; i++) {
        struct client *client = &clients[i];
        if (client->left)
            write_to(client, client->rest, client->left);
        if (client->is_joined && !client->left)
            write_to(client, frame, size);
    }
}

static void listen_to(struct client *client)
{
    ssize_t got = recv(client->fd, client->request + client->asked, sizeof client->request - client->asked, 0);
    if (got <= 0) {
        client->is_joined = 0;
        epoll_ctl(poll, EPOLL_CTL_DEL, client->fd, NULL);
        return;
    }
    client->asked += (uint32_t)got;
    if (!memmem(client->request, client->asked, "\r\n\r\n", 4))
        return;
    send(client->fd, answer, sizeof answer - 1, MSG_NOSIGNAL);
    client->is_joined = 1;
    epoll_ctl(poll, EPOLL_CTL_DEL, client->fd, NULL);
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    load(argv[1]);
    size_t stamp_at = (size_t)atoi(argv[2]);
    uint64_t period_ns = (uint64_t)atoi(argv[3]) * 1000000u;
    struct sockaddr_in here = {.sin_family = AF_INET};
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof here;
    int door = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(door, SOL_SOCKET, SO_SNDBUF, &(int){atoi(argv[4])}, sizeof(int));
    setsockopt(door, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &(int){UNSENT}, sizeof(int));
    if (bind(door, (struct sockaddr *)&here, length) || listen(door, 256))
        fail("listen");
    getsockname(door, (struct sockaddr *)&here, &length);
    poll = epoll_create1(0);
    struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poll, EPOLL_CTL_ADD, door, &wanted);
    printf("%d\n", ntohs(here.sin_port));
    fflush(stdout);
    for (uint64_t due_ns = now_ns() + period_ns;;) {
        struct epoll_event events[64];
        uint64_t now = now_ns();
        if (now >= due_ns) {
            due_ns = now + period_ns;
            turn(stamp_at);
            continue;
        }
        int many = epoll_wait(poll, events, 64, (int)((due_ns - now + 999999) / 1000000));
        for (int i = 0; i < many; i++) {
            if (events[i].data.ptr) {
                listen_to(events[i].data.ptr);
                continue;
            }
            int fd = accept4(door, NULL, NULL, SOCK_NONBLOCK);
            if (fd < 0 || count == MOST)
                continue;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
            clients[count].fd = fd;
            wanted = (struct epoll_event){.events = EPOLLIN, .data.ptr = &clients[count++]};
            epoll_ctl(poll, EPOLL_CTL_ADD, fd, &wanted);
        }
    }
}
