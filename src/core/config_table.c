#include "core/config_table.h"

#define DAY_MS    86400000
#define DAY_S     86400
#define AT(field) offsetof(struct config, field)

#define REASONING_WORDS "reasoning_content, reasoning, both"
#define LEVEL_WORDS     "debug, info, warn, error"
#define FORMAT_WORDS    "text, json"

#define MIN_PASSWORD_CHARACTERS 8
#define MAX_TEXT_BYTES          4096

/* The peers that TRUST_PROXY=true believes: loopback, RFC 1918, and IPv6 unique local. */
#define LOCAL_RANGES "127.0.0.0/8, ::1/128, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7"

/*
 * Ranges: a timeout may be a day at most, which is beyond any use and far from overflow; 0 is
 * allowed where it means something. A body is held in memory, so its limit ends at 1 GiB.
 */
// clang-format off
const struct config_row CONFIG_TABLE[CONFIG_ROWS] = {
    {STR_C("PORT"), CONFIG_NUMBER, CONFIG_FIXED, AT(port), 1, 65535, STR_C("3000"), NULL,
     "port to listen on", NULL},
    {STR_C("HOST"), CONFIG_HOST, CONFIG_FIXED, AT(host), 0, 0, STR_C("0.0.0.0"), NULL,
     "address to listen on", NULL},
    {STR_C("ADMIN_PASSWORD"), CONFIG_PASSWORD, CONFIG_FROM_FILE | CONFIG_SECRET,
     AT(admin_password), 0, 0, STR_C("admin123"), NULL,
     "admin password; while it is the default, /admin answers this machine only",
     "It is read at each start and never stored; set it behind a proxy in any case, since a "
     "proxy on this machine makes everybody look local"},
    {STR_C("API_TOKEN"), CONFIG_TOKENS, CONFIG_FROM_FILE | CONFIG_SECRET, AT(api_tokens), 0, 0,
     STR_C(""), NULL, "tokens that callers must present, by commas; empty: no authentication",
     "Presented as Authorization: Bearer, x-api-key or api-key; GET /, /health and "
     "preflights need none"},
    {STR_C("OLLAMA_BASE_URL"), CONFIG_URL, 0, AT(upstream), 0, 0,
     STR_C("https://ollama.com/api"), NULL,
     "the Ollama server; not set: one on this machine, as long as there is no key",
     "Also the server of keys that name none; a trailing /, /api or /v1 is cut. With a key "
     "in the pool and this not set, such keys belong to ollama.com"},
    {STR_C("HEALTH_CHECK_INTERVAL"), CONFIG_NUMBER, 0, AT(health_check_interval_s), 0, DAY_S,
     STR_C("60"), NULL, "seconds between health rounds; 0: none",
     "Only keys in doubt are asked, at most two a second and host, with calls that cost no tokens"},
    {STR_C("CONNECT_TIMEOUT"), CONFIG_NUMBER, 0, AT(connect_timeout_ms), 1, DAY_MS,
     STR_C("30000"), NULL, "ms for TCP and TLS connect, per attempt", NULL},
    {STR_C("REQUEST_TIMEOUT"), CONFIG_NUMBER, 0, AT(request_timeout_ms), 1, DAY_MS,
     STR_C("300000"), NULL, "ms to the first byte of an answer, and for one that is not streamed",
     "A stream that goes on is never cut by it"},
    {STR_C("STREAM_IDLE_TIMEOUT"), CONFIG_NUMBER, 0, AT(stream_idle_timeout_ms), 1, DAY_MS,
     STR_C("300000"), NULL, "ms between two bytes of a running stream",
     "Ollama is silent while it writes a tool call, so this is long"},
    {STR_C("STREAM_START_TIMEOUT"), CONFIG_NUMBER, 0, AT(stream_start_timeout_ms), 0, DAY_MS,
     STR_C("15000"), NULL, "ms after which a waiting stream begins with comments; 0: never",
     "Such a stream has status 200 from then on, so that a failure is an event in it"},
    {STR_C("MAX_RETRIES"), CONFIG_NUMBER, 0, AT(max_retries), 0, 64, STR_C("2"), NULL,
     "further attempts after one that reached a model and failed",
     "A key or host that only refuses is not counted: up to 64 keys are asked, none after "
     "10 s of refusals"},
    {STR_C("REASONING_FIELD"), CONFIG_WORD, 0, AT(reasoning_field), 0, 0,
     STR_C("reasoning_content"), REASONING_WORDS, "field that carries the model's thinking", NULL},
    {STR_C("DEFAULT_NUM_CTX"), CONFIG_NUMBER, 0, AT(default_num_ctx), 1, 16777216, STR_C(""),
     NULL, "num_ctx sent when a request says none; empty: not sent",
     "Requests for embeddings get none"},
    {STR_C("LOG_LEVEL"), CONFIG_WORD, 0, AT(log_level), 0, 0, STR_C("info"), LEVEL_WORDS,
     "what is logged", NULL},
    {STR_C("LOG_FORMAT"), CONFIG_WORD, 0, AT(log_format), 0, 0, STR_C("text"), FORMAT_WORDS,
     "key=value, or one JSON object per line", NULL},
    {STR_C("DEBUG_HEADERS"), CONFIG_BOOL, 0, AT(debug_headers), 0, 0, STR_C("0"), NULL,
     "1: answers carry the path of attempts in X-Attempts", NULL},
    {STR_C("DATA_DIR"), CONFIG_PATH, CONFIG_FIXED, AT(data_dir), 0, 0, STR_C("./data"), NULL,
     "where the database and the key file live",
     "Made with mode 0700; one server at a time"},
    {STR_C("KEY_FILE"), CONFIG_PATH, CONFIG_FIXED, AT(key_file), 0, 0, STR_C(""), NULL,
     "the key that encrypts upstream keys at rest; empty: DATA_DIR/secret.key",
     "32 bytes, made at the first start with mode 0600; kept elsewhere, it also protects "
     "copies of DATA_DIR"},
    {STR_C("WORKERS"), CONFIG_NUMBER, CONFIG_FIXED, AT(workers), 1, 256, STR_C(""), NULL,
     "event-loop threads; empty: the CPUs that may be used", NULL},
    {STR_C("TLS_CERT"), CONFIG_PATH, 0, AT(tls_cert), 0, 0, STR_C(""), NULL,
     "PEM file of the certificate chain, to serve HTTPS", NULL},
    {STR_C("TLS_KEY"), CONFIG_PATH, 0, AT(tls_key), 0, 0, STR_C(""), NULL,
     "PEM file of its key", NULL},
    {STR_C("CA_FILE"), CONFIG_PATH, 0, AT(ca_file), 0, 0, STR_C(""), NULL,
     "PEM file of further roots that upstreams may be signed by", NULL},
    {STR_C("HTTP_PROXY"), CONFIG_PROXY, 0, AT(http_proxy), 0, 0, STR_C(""), NULL,
     "proxy for http upstreams",
     "Loopback, private and single-label hosts always go direct; through a proxy the "
     "address rules hold for literal addresses only. Upper case only"},
    {STR_C("HTTPS_PROXY"), CONFIG_PROXY, 0, AT(https_proxy), 0, 0, STR_C(""), NULL,
     "proxy for https upstreams",
     "As HTTP_PROXY"},
    {STR_C("NO_PROXY"), CONFIG_TEXT, 0, AT(no_proxy), 0, 0, STR_C(""), NULL,
     "hosts that need none: names, suffixes, addresses, ranges; *: all", NULL},
    {STR_C("UPSTREAM_ALLOW_CIDRS"), CONFIG_CIDRS, 0, AT(upstream_allow), 0, 0, STR_C(""), NULL,
     "address ranges that upstreams may be in although they would be refused",
     "Link-local, unspecified, multicast and cloud metadata addresses are refused "
     "otherwise, when a name resolves to one too"},
    {STR_C("TRUST_PROXY"), CONFIG_TRUST, 0, AT(trust_proxy), 0, 0, STR_C("false"), NULL,
     "peers whose X-Forwarded-For is believed; true: loopback and private ones",
     "The right-most address that is not of a trusted peer is the caller; X-Forwarded-Proto "
     "is believed of the same peers"},
    {STR_C("CORS_ORIGINS"), CONFIG_ORIGINS, 0, AT(cors), 0, 0, STR_C("auto"), NULL,
     "web origins that may call /v1; auto: all with a token set, else local ones",
     "* stands for any run of characters; pages of other origins get 403"},
    {STR_C("MAX_CONN_PER_IP"), CONFIG_NUMBER, 0, AT(max_conn_per_ip), 0, 1000000, STR_C("0"), NULL,
     "connections per address; 0: no limit",
     "Never for loopback and trusted proxies"},
    {STR_C("BODY_LIMIT"), CONFIG_NUMBER, 0, AT(body_limit_bytes), 1024, 1073741824,
     STR_C("52428800"), NULL, "bytes of a request body on /v1",
     "A larger one gets 413"},
    {STR_C("METRICS_TOKEN"), CONFIG_TOKEN, CONFIG_SECRET, AT(metrics_token), 0, 0, STR_C(""), NULL,
     "bearer token for /metrics; empty: this machine only", NULL},
    {STR_C("SHUTDOWN_TIMEOUT"), CONFIG_NUMBER, 0, AT(shutdown_timeout_ms), 0, DAY_MS,
     STR_C("30000"), NULL, "ms that running streams get when the program is told to stop", NULL},
};
// clang-format on

str config_copy(struct arena *a, str s)
{
    char *p = arena_alloc(a, s.len + 1);
    if (p == NULL)
        return (str){NULL, 0};
    if (s.len > 0)
        memcpy(p, s.p, s.len);
    p[s.len] = '\0';
    return str_of(p, s.len);
}

/* ---- one function per kind ---- */

struct job {
    struct arena *a;
    const struct config_row *row;
    str text;
    void *field;
    struct err_info *why;
};

/* "must be " and what is allowed. */
static enum err refuse(const struct job *j, enum err code)
{
    struct buf allowed;
    buf_init(&allowed, sizeof(j->why->text));
    config_allowed(j->row, &allowed);
    err_set(j->why, code, "must be %.*s", STR_ARG(buf_str(&allowed)));
    buf_release(&allowed);
    return code;
}

static enum err parse_number(const struct job *j)
{
    uint64_t value = 0;
    if (j->text.len > 0) {
        if (!str_to_u64(j->text, &value))
            return refuse(j, ERR_SYNTAX);
        if (value < j->row->min || value > j->row->max)
            return refuse(j, ERR_RANGE);
    }
    *(uint32_t *)j->field = (uint32_t)value;
    return ERR_OK;
}

/* The place of `text` in "a, b, c", or -1. */
static int word_index(str words, str text)
{
    for (int i = 0; words.len > 0; i++) {
        str word;
        str_cut(words, ',', &word, &words);
        if (str_ieq(str_trim(word), text))
            return i;
    }
    return -1;
}

static enum err parse_bool(const struct job *j)
{
    int i = word_index(STR("0, 1, false, true"), j->text);
    if (i < 0)
        return refuse(j, ERR_SYNTAX);
    *(bool *)j->field = i % 2 == 1;
    return ERR_OK;
}

static enum err parse_word(const struct job *j)
{
    int i = word_index(str_z(j->row->words), j->text);
    if (i < 0)
        return refuse(j, ERR_SYNTAX);
    unsigned value = (unsigned)i;
    memcpy(j->field, &value, sizeof(value));
    return ERR_OK;
}

_Static_assert(sizeof(enum log_level) == sizeof(unsigned) &&
                   sizeof(enum log_format) == sizeof(unsigned) &&
                   sizeof(enum config_reasoning) == sizeof(unsigned),
               "parse_word writes enums as unsigned");

static enum err parse_text(const struct job *j)
{
    if (j->text.len > MAX_TEXT_BYTES)
        return err_set(j->why, ERR_RANGE, "must be at most %d bytes long", MAX_TEXT_BYTES);
    for (size_t i = 0; i < j->text.len; i++) {
        if ((unsigned char)j->text.p[i] < ' ')
            return err_set(j->why, ERR_SYNTAX, "must not hold control characters");
    }
    *(str *)j->field = config_copy(j->a, j->text);
    return ERR_OK;
}

static enum err parse_host(const struct job *j)
{
    str text = j->text;
    if (str_starts(text, STR("[")) && str_ends(text, STR("]")))
        text = str_of(text.p + 1, text.len - 2);
    if (str_ieq(text, STR("localhost")))
        text = STR("127.0.0.1");
    struct sockaddr_storage addr;
    if (!address_parse(text, &addr))
        return refuse(j, ERR_SYNTAX);
    *(str *)j->field = config_copy(j->a, text);
    return ERR_OK;
}

static enum err parse_url(const struct job *j)
{
    struct url url;
    enum err e = url_parse(j->a, j->text, &url, j->why);
    if (e != ERR_OK)
        return e;
    url_cut_api(&url);
    *(struct url *)j->field = url;
    return ERR_OK;
}

static enum err parse_proxy(const struct job *j)
{
    str rest = j->text;
    if (rest.len == 0) {
        *(str *)j->field = config_copy(j->a, rest);
        return ERR_OK;
    }
    if (str_istarts(rest, STR("http://")))
        rest = str_skip(rest, 7);
    if (str_contains(rest, STR("://")))
        return refuse(j, ERR_SYNTAX);
    size_t at = rest.len;
    while (at > 0 && rest.p[at - 1] != '@')
        at--;
    struct url url;
    str plain = arena_printf(j->a, "http://%.*s", STR_ARG(str_skip(rest, at)));
    enum err e = url_parse(j->a, plain, &url, j->why);
    if (e != ERR_OK)
        return e;
    if (url.path.len > 0)
        return refuse(j, ERR_SYNTAX);
    str user = str_head(rest, at);
    str full = arena_printf(j->a, "http://%.*s%.*s", STR_ARG(user), STR_ARG(url.authority));
    *(str *)j->field = full;
    return ERR_OK;
}

static enum err parse_cidrs(const struct job *j)
{
    return cidr_list_parse(j->a, j->text, j->field, j->why);
}

static enum err parse_trust(const struct job *j)
{
    int i = word_index(STR("0, 1, false, true"), j->text);
    if (i < 0)
        return cidr_list_parse(j->a, j->text, j->field, j->why);
    return cidr_list_parse(j->a, i % 2 == 1 ? STR(LOCAL_RANGES) : STR(""), j->field, j->why);
}

static enum err parse_origins(const struct job *j)
{
    return cors_policy_parse(j->a, j->text, j->field, j->why);
}

/* Characters, for UTF-8; a byte of anything else counts as one. */
static size_t count_characters(str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.p[i] & 0xC0) != 0x80;
    return n;
}

static enum err parse_password(const struct job *j)
{
    struct config_password *password = j->field;
    crypto_digest(j->text, password->digest.bytes);
    password->is_default = str_eq(j->text, j->row->fallback);
    password->is_short = count_characters(j->text) < MIN_PASSWORD_CHARACTERS;
    return ERR_OK;
}

static enum err check_token(str token, struct err_info *why)
{
    for (size_t i = 0; i < token.len; i++) {
        unsigned char c = (unsigned char)token.p[i];
        if (c <= ' ' || c == 0x7F)
            return err_set(why, ERR_SYNTAX,
                           "a token must not hold blanks, line ends or control characters");
    }
    return ERR_OK;
}

/* `text` is not empty: a list without a token would switch authentication off unnoticed. */
static enum err take_tokens(const struct job *j, bool list)
{
    size_t max = 1;
    for (size_t i = 0; list && i < j->text.len; i++)
        max += j->text.p[i] == ',';
    struct config_tag *items = arena_new(j->a, struct config_tag, max);
    if (items == NULL)
        return err_set(j->why, ERR_TOO_LARGE, "holds too many tokens");
    size_t n = 0;
    for (str rest = j->text; rest.len > 0;) {
        str token = rest;
        if (list)
            str_cut(rest, ',', &token, &rest);
        else
            rest.len = 0;
        token = str_trim(token);
        if (token.len == 0)
            continue;
        enum err e = check_token(token, j->why);
        if (e != ERR_OK)
            return e;
        crypto_tag(token, items[n++].bytes);
    }
    if (n == 0)
        return err_set(j->why, ERR_SYNTAX, "holds no token");
    *(struct config_tokens *)j->field = (struct config_tokens){items, n};
    return ERR_OK;
}

static enum err parse_tokens(const struct job *j)
{
    if (j->text.len > 0)
        return take_tokens(j, j->row->kind == CONFIG_TOKENS);
    *(struct config_tokens *)j->field = (struct config_tokens){0};
    return ERR_OK;
}

/* What `allowed` leaves empty is explained by the parser itself. */
static const struct {
    enum err (*parse)(const struct job *j);
    const char *allowed;
} KINDS[] = {
    [CONFIG_NUMBER] = {parse_number,   ""                                        },
    [CONFIG_BOOL] = {parse_bool,     "0 or 1"                                  },
    [CONFIG_WORD] = {parse_word,     ""                                        },
    [CONFIG_TEXT] = {parse_text,     ""                                        },
    [CONFIG_PATH] = {parse_text,     ""                                        },
    [CONFIG_HOST] = {parse_host,     "an IPv4 or IPv6 address"                 },
    [CONFIG_URL] = {parse_url,      "an http or https URL"                    },
    [CONFIG_PROXY] = {parse_proxy,    "http://host:port"                        },
    [CONFIG_CIDRS] = {parse_cidrs,    "address ranges by commas"                },
    [CONFIG_TRUST] = {parse_trust,    "true, false, or address ranges by commas"},
    [CONFIG_ORIGINS] = {parse_origins,  "auto, or origins by commas"              },
    [CONFIG_PASSWORD] = {parse_password, ""                                        },
    [CONFIG_TOKENS] = {parse_tokens,   ""                                        },
    [CONFIG_TOKEN] = {parse_tokens,   ""                                        },
};

enum err config_parse(struct arena *a, const struct config_row *row, str text, void *field,
                      struct err_info *why)
{
    const struct job job = {a, row, text, field, why};
    enum err e = KINDS[row->kind].parse(&job);
    if (e == ERR_OK && a->overflowed)
        return err_set(why, ERR_TOO_LARGE, "is too long");
    return e;
}

void config_allowed(const struct config_row *row, struct buf *out)
{
    if (row->kind == CONFIG_NUMBER)
        buf_printf(out, "a number from %u to %u", row->min, row->max);
    else if (row->kind == CONFIG_WORD)
        buf_printf(out, "one of %s", row->words);
    else
        buf_printf(out, "%s", KINDS[row->kind].allowed);
}
