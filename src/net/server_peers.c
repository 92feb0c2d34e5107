#include "net/server_private.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/xalloc.h"

#define BUCKETS 1024

struct peer {
    struct peer *next;
    unsigned char addr[16]; // IPv4 as IPv4-mapped IPv6
    uint32_t n;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct peer *buckets[BUCKETS]; // under lock

static void addr_key(const struct sockaddr *peer, unsigned char key[16])
{
    static const unsigned char MAPPED[12] = {[10] = 0xFF, [11] = 0xFF};
    if (peer->sa_family == AF_INET6) {
        memcpy(key, &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr, 16);
    } else {
        memcpy(key, MAPPED, sizeof(MAPPED));
        memcpy(key + 12, &((const struct sockaddr_in *)(const void *)peer)->sin_addr, 4);
    }
}

/* Where the entry of `key` hangs, or would. */
static struct peer **find(const unsigned char key[16])
{
    struct peer **at = &buckets[str_hash(str_of((const char *)key, 16)) % BUCKETS];
    while (*at != NULL && memcmp((*at)->addr, key, 16) != 0)
        at = &(*at)->next;
    return at;
}

bool peers_acquire(const struct sockaddr *peer, uint32_t limit)
{
    unsigned char key[16];
    addr_key(peer, key);
    pthread_mutex_lock(&lock);
    struct peer **at = find(key);
    if (*at == NULL && limit > 0) {
        *at = xcalloc(1, sizeof(**at));
        memcpy((*at)->addr, key, 16);
    }
    bool ok = *at != NULL && (*at)->n < limit;
    if (ok)
        (*at)->n++;
    pthread_mutex_unlock(&lock);
    return ok;
}

void peers_release(const struct sockaddr *peer)
{
    unsigned char key[16];
    addr_key(peer, key);
    pthread_mutex_lock(&lock);
    struct peer **at = find(key);
    struct peer *p = *at;
    if (p != NULL && --p->n == 0) {
        *at = p->next;
        free(p);
    }
    pthread_mutex_unlock(&lock);
}
