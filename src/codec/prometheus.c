#include "codec/prometheus.h"

#include <string.h>

static const char *const TYPES[] = {"counter", "gauge", "histogram"};

/* Whether a parameter is a quality of zero: "q=0", "q=0.000". */
static bool is_refusal(str parameter)
{
    if (!str_istarts(parameter, STR("q=")) || parameter.len == 2)
        return false;
    for (size_t i = 2; i < parameter.len; i++) {
        if (parameter.p[i] != '0' && parameter.p[i] != '.')
            return false;
    }
    return true;
}

bool prometheus_wants_openmetrics(str accept)
{
    while (accept.len > 0) {
        str item;
        str type;
        str parameters;
        str_cut(accept, ',', &item, &accept);
        str_cut(item, ';', &type, &parameters);
        if (!str_ieq(str_trim(type), STR("application/openmetrics-text")))
            continue;
        while (parameters.len > 0) {
            str parameter;
            str_cut(parameters, ';', &parameter, &parameters);
            if (is_refusal(str_trim(parameter)))
                return false;
        }
        return true;
    }
    return false;
}

void prometheus_family(struct prometheus *p, const char *name, enum prometheus_type type,
                       const char *help)
{
    // OpenMetrics names a counter's family without the suffix that its values have.
    str family = str_z(name);
    if (p->openmetrics && type == PROMETHEUS_COUNTER)
        family = str_head(family, family.len - strlen("_total"));
    buf_printf(p->out, "# HELP %.*s %s\n# TYPE %.*s %s\n", STR_ARG(family), help, STR_ARG(family),
               TYPES[type]);
    p->name = name;
}

/* A backslash, a quote and a line's end mean something in a label's value. */
static void put_label_value(struct buf *out, str value)
{
    value = str_head(value, utf8_valid_prefix(value));
    for (size_t i = 0; i < value.len; i++) {
        char c = value.p[i];
        if (c == '\n')
            buf_append(out, STR("\\n"));
        else if (c == '\\' || c == '"')
            buf_printf(out, "\\%c", c);
        else
            buf_append(out, str_of(&c, 1));
    }
}

static void put_name(struct prometheus *p, const char *suffix,
                     const struct prometheus_label *labels, size_t n_labels)
{
    buf_printf(p->out, "%s%s", p->name, suffix);
    for (size_t i = 0; i < n_labels; i++) {
        buf_printf(p->out, "%s%s=\"", i == 0 ? "{" : ",", labels[i].name);
        put_label_value(p->out, labels[i].value);
        buf_append(p->out, STR("\""));
    }
    if (n_labels > 0)
        buf_append(p->out, STR("}"));
}

void prometheus_value(struct prometheus *p, const char *suffix,
                      const struct prometheus_label *labels, size_t n_labels, uint64_t value)
{
    put_name(p, suffix, labels, n_labels);
    buf_printf(p->out, " %llu\n", (unsigned long long)value);
}

void prometheus_milli(struct prometheus *p, const char *suffix,
                      const struct prometheus_label *labels, size_t n_labels, uint64_t milli)
{
    put_name(p, suffix, labels, n_labels);
    buf_printf(p->out, " %llu.%03u\n", (unsigned long long)(milli / 1000),
               (unsigned)(milli % 1000));
}

void prometheus_end(struct prometheus *p)
{
    if (p->openmetrics)
        buf_append(p->out, STR("# EOF\n"));
}
