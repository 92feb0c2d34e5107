#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/loop.h"
#include "net/sendq.h"
#include "net/stream.h"

/* A connection of this machine: the loop has one end, the test reads from the other. */
struct link {
    struct stream *stream;
    int peer;
};

static struct link new_link(struct loop *loop)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct link link = {.peer = socket(AF_INET, SOCK_STREAM, 0)};
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(connect(link.peer, (struct sockaddr *)&address, sizeof(address)), 0);
    int fd = accept(listener, NULL, NULL);
    close(listener);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    assert_int_equal(stream_adopt(loop, fd, &link.stream), ERR_OK);
    stream_start(link.stream, NULL);
    return link;
}

static void stop(void *loop)
{
    loop_stop(loop);
}

/* Runs one turn, in which `fn` writes. */
static void run(struct loop *loop, loop_fn *fn, void *arg)
{
    loop_post(loop, fn, arg);
    loop_post(loop, stop, loop);
    loop_run(loop);
}

/* Reads `n` bytes, or up to the end. */
static size_t read_from(int fd, char *to, size_t n)
{
    size_t got = 0;
    ssize_t r;
    while (got < n && (r = recv(fd, to + got, n - got, 0)) > 0)
        got += (size_t)r;
    return got;
}

static bool has_nothing(int fd)
{
    char c;
    return recv(fd, &c, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

static void end(struct loop *loop, const struct link *links, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        stream_close(links[i].stream);
        close(links[i].peer);
    }
    loop_free(loop);
}

/* ---- order ---- */

static const size_t SIZES[] = {1,
                               SENDQ_WRITE_BYTES - 1,
                               SENDQ_WRITE_BYTES,
                               SENDQ_WRITE_BYTES + 1,
                               7,
                               20000,
                               3,
                               SENDQ_WRITE_BYTES + 1,
                               20000};

static char letter(size_t i)
{
    return (char)('a' + i);
}

static void write_all_sizes(void *arg)
{
    struct link *link = arg;
    static char text[20000];
    for (size_t i = 0; i < COUNT_OF(SIZES); i++) {
        memset(text, letter(i), SIZES[i]);
        str halves[] = {
            {text, SIZES[i] / 2           },
            {text, SIZES[i] - SIZES[i] / 2}
        };
        stream_write(link->stream, halves, 2);
    }
}

static void test_stream__writes_of_a_turn_arrive_in_order_whatever_their_size(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    struct link link = new_link(loop);
    run(loop, write_all_sizes, &link);
    char *got = malloc(20000);
    for (size_t i = 0; i < COUNT_OF(SIZES); i++) {
        assert_int_equal(read_from(link.peer, got, SIZES[i]), SIZES[i]);
        for (size_t j = 0; j < SIZES[i]; j++)
            assert_int_equal(got[j], letter(i));
    }
    assert_true(has_nothing(link.peer));
    free(got);
    end(loop, &link, 1);
}

static void write_and_write_some(void *arg)
{
    struct link *link = arg;
    stream_write(link->stream, &STR("head "), 1);
    assert_int_equal(stream_write_some(link->stream, STR("body")), 4);
}

static void test_stream__what_goes_straight_to_the_socket_stays_behind_what_waits(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    struct link link = new_link(loop);
    run(loop, write_and_write_some, &link);
    char got[9];
    assert_int_equal(read_from(link.peer, got, sizeof(got)), sizeof(got));
    assert_memory_equal(got, "head body", sizeof(got));
    end(loop, &link, 1);
}

/* ---- the end of a turn ---- */

struct turn {
    const struct link *links;
    size_t n;
    bool sent_early; // something came before the turn was over
};

static void write_to_each(void *arg)
{
    struct turn *t = arg;
    for (size_t i = 0; i < t->n; i++) {
        const char c = letter(i);
        stream_write(t->links[i].stream, &(str){&c, 1}, 1);
        stream_write(t->links[i].stream, &(str){&c, 0}, 1);
    }
    t->sent_early = !has_nothing(t->links[t->n - 1].peer);
}

static void test_stream__small_writes_leave_at_the_end_of_the_turn(void **state)
{
    (void)state;
    static const size_t counts[] = {1, SENDQ_SLOTS - 1, SENDQ_SLOTS, SENDQ_SLOTS + 1,
                                    2 * SENDQ_SLOTS + 1};
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        struct loop *loop = loop_new();
        struct link links[2 * SENDQ_SLOTS + 1];
        struct turn t = {.links = links, .n = counts[i]};
        for (size_t j = 0; j < t.n; j++)
            links[j] = new_link(loop);
        run(loop, write_to_each, &t);
        assert_false(t.sent_early);
        for (size_t j = 0; j < t.n; j++) {
            char got;
            assert_int_equal(read_from(links[j].peer, &got, 1), 1);
            assert_int_equal(got, letter(j));
            assert_true(has_nothing(links[j].peer));
        }
        end(loop, links, t.n);
    }
}

/* ---- the end of a connection ---- */

static void write_and_close(void *arg)
{
    struct link *link = arg;
    stream_write(link->stream, &STR("bye"), 1);
    stream_close(link->stream);
    link->stream = NULL;
}

static void write_and_shut(void *arg)
{
    struct link *link = arg;
    stream_write(link->stream, &STR("bye"), 1);
    stream_shutdown(link->stream);
    stream_write(link->stream, &STR("too late"), 1);
}

static void test_stream__what_was_written_leaves_before_the_end(void **state)
{
    (void)state;
    static loop_fn *const ends[] = {write_and_close, write_and_shut};
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        struct loop *loop = loop_new();
        struct link link = new_link(loop);
        run(loop, ends[i], &link);
        char got[16];
        assert_int_equal(read_from(link.peer, got, sizeof(got)), 3);
        assert_memory_equal(got, "bye", 3);
        end(loop, &link, 1);
    }
}

struct ending {
    enum stream_end why;
    int times;
    struct loop *loop;
};

static void on_end(void *arg, enum stream_end why)
{
    struct ending *e = arg;
    e->why = why;
    e->times++;
    loop_stop(e->loop);
}

static void write_once(void *stream)
{
    stream_write(stream, &STR("x"), 1);
}

static void test_stream__a_reset_of_what_waits_is_told_once(void **state)
{
    (void)state;
    static const struct stream_events events = {.on_end = on_end};
    struct loop *loop = loop_new();
    struct link link = new_link(loop);
    struct ending ending = {.loop = loop};
    stream_set_events(link.stream, &events, &ending);
    stream_pause(link.stream); // only a write can tell now
    const struct linger at_once = {.l_onoff = 1};
    setsockopt(link.peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(link.peer);
    loop_post(loop, write_once, link.stream);
    loop_run(loop);
    assert_int_equal(ending.times, 1);
    assert_int_equal(ending.why, STREAM_RESET);
    stream_close(link.stream);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream__writes_of_a_turn_arrive_in_order_whatever_their_size),
        cmocka_unit_test(test_stream__what_goes_straight_to_the_socket_stays_behind_what_waits),
        cmocka_unit_test(test_stream__small_writes_leave_at_the_end_of_the_turn),
        cmocka_unit_test(test_stream__what_was_written_leaves_before_the_end),
        cmocka_unit_test(test_stream__a_reset_of_what_waits_is_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
