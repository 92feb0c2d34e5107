/*
 * notify - tells systemd how far the start is (Type=notify)
 *
 * One datagram to the socket that NOTIFY_SOCKET names, as sd_notify(3) describes; without that
 * variable nothing happens.
 *
 * Threads: the main thread.
 */
#ifndef APP_NOTIFY_H
#define APP_NOTIFY_H

/* Takes the socket's name out of the environment; before other threads are there. */
void notify_init(void);

void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);

#endif
