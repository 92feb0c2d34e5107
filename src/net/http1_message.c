#include "net/http1.h"

str http1_find(const struct http1_message *m, str name)
{
    if ((m->name_lengths & http1_length_bit(name.len)) == 0)
        return (str){0};
    for (const struct http1_field *f = m->fields, *end = f + m->n_fields; f < end; f++) {
        if (f->name.len == name.len && str_ieq(f->name, name))
            return f->value;
    }
    return (str){0};
}

str http1_join(struct arena *a, const struct http1_message *m, str name)
{
    str all = {NULL, 0};
    if ((m->name_lengths & http1_length_bit(name.len)) == 0)
        return all;
    for (size_t i = 0; i < m->n_fields; i++) {
        const struct http1_field *f = &m->fields[i];
        if (!str_ieq(f->name, name))
            continue;
        all = all.p == NULL ? f->value
                            : arena_printf(a, "%.*s, %.*s", STR_ARG(all), STR_ARG(f->value));
    }
    return all;
}

str http1_method_name(enum http1_method method)
{
    static const str NAMES[] = {
        [HTTP1_GET] = STR_C("GET"),         [HTTP1_HEAD] = STR_C("HEAD"),
        [HTTP1_POST] = STR_C("POST"),       [HTTP1_PUT] = STR_C("PUT"),
        [HTTP1_PATCH] = STR_C("PATCH"),     [HTTP1_DELETE] = STR_C("DELETE"),
        [HTTP1_OPTIONS] = STR_C("OPTIONS"),
    };
    return NAMES[method];
}

str http1_reason(int status)
{
    static const struct {
        int status;
        str reason;
    } REASONS[] = {
        {100, STR_C("Continue")                       },
        {200, STR_C("OK")                             },
        {201, STR_C("Created")                        },
        {202, STR_C("Accepted")                       },
        {204, STR_C("No Content")                     },
        {206, STR_C("Partial Content")                },
        {301, STR_C("Moved Permanently")              },
        {302, STR_C("Found")                          },
        {303, STR_C("See Other")                      },
        {304, STR_C("Not Modified")                   },
        {307, STR_C("Temporary Redirect")             },
        {308, STR_C("Permanent Redirect")             },
        {400, STR_C("Bad Request")                    },
        {401, STR_C("Unauthorized")                   },
        {402, STR_C("Payment Required")               },
        {403, STR_C("Forbidden")                      },
        {404, STR_C("Not Found")                      },
        {405, STR_C("Method Not Allowed")             },
        {406, STR_C("Not Acceptable")                 },
        {408, STR_C("Request Timeout")                },
        {409, STR_C("Conflict")                       },
        {410, STR_C("Gone")                           },
        {411, STR_C("Length Required")                },
        {413, STR_C("Content Too Large")              },
        {414, STR_C("URI Too Long")                   },
        {415, STR_C("Unsupported Media Type")         },
        {417, STR_C("Expectation Failed")             },
        {422, STR_C("Unprocessable Content")          },
        {429, STR_C("Too Many Requests")              },
        {431, STR_C("Request Header Fields Too Large")},
        {499, STR_C("Client Closed Request")          },
        {500, STR_C("Internal Server Error")          },
        {501, STR_C("Not Implemented")                },
        {502, STR_C("Bad Gateway")                    },
        {503, STR_C("Service Unavailable")            },
        {504, STR_C("Gateway Timeout")                },
        {505, STR_C("HTTP Version Not Supported")     },
        {507, STR_C("Insufficient Storage")           },
        {508, STR_C("Loop Detected")                  },
    };
    for (size_t i = 0; i < COUNT_OF(REASONS); i++) {
        if (REASONS[i].status == status)
            return REASONS[i].reason;
    }
    return STR("Unknown");
}
