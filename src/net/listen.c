#include "net/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

static int set_option(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value));
}

static int open_bound(const struct addrinfo *ai, bool share)
{
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    bool ok = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) == 0;
    if (ok && share)
        ok = set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) == 0;
    // Linux hands this on to accepted sockets: streamed lines leave at once.
    ok = ok && set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) == 0;
    if (ok && bind(fd, ai->ai_addr, ai->ai_addrlen) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

/* SO_REUSEADDR lets two sockets be bound as long as none listens: only listen() tells for sure. */
static int probe_alone(const struct addrinfo *ai)
{
    int fd = open_bound(ai, false);
    if (fd < 0)
        return -1;
    int rc = listen(fd, 1);
    int saved = errno;
    close(fd);
    errno = saved;
    return rc;
}

static enum err bind_all(const struct addrinfo *ai, size_t n, int *fds)
{
    if (probe_alone(ai) < 0)
        return errno == EADDRINUSE ? ERR_IN_USE : ERR_SYSTEM;
    for (size_t i = 0; i < n; i++) {
        fds[i] = open_bound(ai, n > 1);
        if (fds[i] >= 0)
            continue;
        int saved = errno;
        while (i-- > 0)
            close(fds[i]);
        errno = saved;
        return saved == EADDRINUSE ? ERR_IN_USE : ERR_SYSTEM;
    }
    return ERR_OK;
}

enum err listen_bind(const char *host, uint16_t port, size_t n, int *fds,
                     struct sockaddr_storage *ret_bound, struct err_info *info)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *ai = NULL;
    char service[8];
    snprintf(service, sizeof(service), "%u", port);

    int rc = getaddrinfo(host, service, &hints, &ai);
    if (rc != 0)
        return err_set(info, ERR_SYSTEM, "cannot listen on '%s': %s", host, gai_strerror(rc));

    enum err e = bind_all(ai, n, fds);
    if (e == ERR_IN_USE)
        err_set(info, e,
                "cannot listen on '%s' port %u: another program has it; end that, or set PORT",
                host, port);
    else if (e != ERR_OK)
        err_set(info, e, "cannot listen on '%s' port %u: %s; set HOST and PORT", host, port,
                strerrordesc_np(errno));
    else
        memcpy(ret_bound, ai->ai_addr, ai->ai_addrlen);
    freeaddrinfo(ai);
    return e;
}
