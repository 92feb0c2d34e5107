/* The two text formats of metrics. */
#include "codec/prometheus.h"

#include "unit.h"

struct sheet {
    struct buf out;
    struct prometheus p;
};

static void begin(struct sheet *s, bool openmetrics)
{
    buf_init(&s->out, 65536);
    s->p = (struct prometheus){.out = &s->out, .openmetrics = openmetrics};
}

static void assert_sheet(struct sheet *s, const char *expected)
{
    buf_append(&s->out, (str){"", 1});
    assert_string_equal(s->out.p, expected);
    buf_release(&s->out);
}

static void test_counters_are_named_as_each_format_wants(void **state)
{
    (void)state;
    for (int open = 0; open < 2; open++) {
        struct sheet s;
        begin(&s, open);
        prometheus_family(&s.p, "o_requests_total", PROMETHEUS_COUNTER, "Requests.");
        const struct prometheus_label label = {"route", STR("chat")};
        prometheus_value(&s.p, "", &label, 1, UINT64_MAX);
        prometheus_end(&s.p);
        assert_sheet(&s, open ? "# HELP o_requests Requests.\n# TYPE o_requests counter\n"
                                "o_requests_total{route=\"chat\"} 18446744073709551615\n# EOF\n"
                              : "# HELP o_requests_total Requests.\n"
                                "# TYPE o_requests_total counter\n"
                                "o_requests_total{route=\"chat\"} 18446744073709551615\n");
    }
}

static void test_histograms_and_seconds(void **state)
{
    (void)state;
    struct sheet s;
    begin(&s, false);
    prometheus_family(&s.p, "o_seconds", PROMETHEUS_HISTOGRAM, "Time.");
    const struct prometheus_label labels[] = {
        {"route", STR("chat")},
        {"le",    STR("0.5") }
    };
    prometheus_value(&s.p, "_bucket", labels, 2, 1);
    prometheus_milli(&s.p, "_sum", labels, 1, 1005);
    prometheus_value(&s.p, "_count", NULL, 0, 1);
    assert_sheet(&s, "# HELP o_seconds Time.\n# TYPE o_seconds histogram\n"
                     "o_seconds_bucket{route=\"chat\",le=\"0.5\"} 1\n"
                     "o_seconds_sum{route=\"chat\"} 1.005\no_seconds_count 1\n");
}

/* A host's or a model's name cannot end the value and begin another line. */
static void test_label_values_are_escaped(void **state)
{
    (void)state;
    struct sheet s;
    begin(&s, false);
    prometheus_family(&s.p, "o", PROMETHEUS_GAUGE, "x");
    const struct prometheus_label label = {"host", STR("a\"b\\c\nd\xff"
                                                       "e")};
    prometheus_value(&s.p, "", &label, 1, 0);
    assert_sheet(&s, "# HELP o x\n# TYPE o gauge\no{host=\"a\\\"b\\\\c\\nd\"} 0\n");
}

static void test_accept_headers(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        bool open;
    } rows[] = {
        {"",                                                                          false},
        {"*/*",                                                                       false},
        {"text/plain",                                                                false},
        {"application/openmetrics-text",                                              true },
        {"text/plain;q=0.5, Application/OpenMetrics-Text; version=1.0.0;q=0.75",      true },
        {"application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5", true },
        {"application/openmetrics-text;q=0",                                          false},
        {"application/openmetrics-text;q=0.000",                                      false},
        {"application/openmetrics-text;q=0.001",                                      true },
        {"application/openmetrics-textual",                                           false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(prometheus_wants_openmetrics(str_z(rows[i].accept)), rows[i].open);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters_are_named_as_each_format_wants),
        cmocka_unit_test(test_histograms_and_seconds),
        cmocka_unit_test(test_label_values_are_escaped),
        cmocka_unit_test(test_accept_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
