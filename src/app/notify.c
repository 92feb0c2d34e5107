#include "app/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

static struct sockaddr_un address;
static socklen_t address_length; // 0: nobody wants to know

void notify_init(void)
{
    const char *name = getenv("NOTIFY_SOCKET"); // NOLINT(concurrency-mt-unsafe): no thread runs yet
    if (name == NULL || (name[0] != '/' && name[0] != '@') ||
        strlen(name) >= sizeof(address.sun_path))
        return;
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, name, strlen(name));
    address_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    if (name[0] == '@')
        address.sun_path[0] = '\0'; // an abstract name
    unsetenv("NOTIFY_SOCKET");      // NOLINT(concurrency-mt-unsafe)
}

/* Nobody can be told that this failed; systemd's own timeout then ends the start. */
static void send_text(const char *text)
{
    if (address_length == 0)
        return;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    (void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address, address_length);
    close(fd);
}

void notify_ready(void)
{
    send_text("READY=1\nSTATUS=serving");
}

void notify_reloading(void)
{
    char text[64];
    snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu",
             (unsigned long long)clock_mono_us());
    send_text(text);
}

void notify_stopping(void)
{
    send_text("STOPPING=1\nSTATUS=finishing what runs");
}
