#include "core/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

static struct sockaddr_storage addr_of(const char *text, uint16_t port)
{
    struct sockaddr_storage ss;
    if (!address_parse(str_z(text), &ss))
        fail_msg("test address '%s' does not parse", text);
    if (ss.ss_family == AF_INET)
        ((struct sockaddr_in *)&ss)->sin_port = htons(port);
    else
        ((struct sockaddr_in6 *)&ss)->sin6_port = htons(port);
    return ss;
}

static const struct sockaddr *as_addr(const struct sockaddr_storage *ss)
{
    return (const struct sockaddr *)ss;
}

static void test_address__refuses_what_no_upstream_may_be_at(void **state)
{
    (void)state;
    static const struct {
        const char *addr;
        const char *refusal; // NULL: allowed
        const char *why;
    } cases[] = {
        {"127.0.0.1",                   NULL,                       "a local Ollama"                      },
        {"127.255.255.255",             NULL,                       "end of loopback"                     },
        {"::1",                         NULL,                       "IPv6 loopback"                       },
        {"10.1.2.3",                    NULL,                       "private"                             },
        {"192.168.0.5",                 NULL,                       "private"                             },
        {"172.16.0.1",                  NULL,                       "private"                             },
        {"fd00::1",                     NULL,                       "unique local"                        },
        {"93.184.216.34",               NULL,                       "public"                              },
        {"2606:4700::1111",             NULL,                       "public IPv6"                         },
        {"240.0.0.1",                   NULL,                       "reserved, but on no list"            },
        {"0.0.0.0",                     "the unspecified address",  "leads to this host"                  },
        {"0.255.255.255",               "the unspecified address",  "end of 0.0.0.0/8"                    },
        {"1.0.0.0",                     NULL,                       "just above 0.0.0.0/8"                },
        {"169.253.255.255",             NULL,                       "just below link-local"               },
        {"169.254.0.0",                 "a link-local address",     "begin of link-local"                 },
        {"169.254.169.254",             "a link-local address",     "cloud metadata"                      },
        {"169.254.255.255",             "a link-local address",     "end of link-local"                   },
        {"169.255.0.0",                 NULL,                       "just above link-local"               },
        {"100.100.100.199",             NULL,                       "just below a metadata address"       },
        {"100.100.100.200",             "a cloud metadata address", "metadata of one cloud"               },
        {"100.100.100.201",             NULL,                       "just above a metadata address"       },
        {"223.255.255.255",             NULL,                       "just below multicast"                },
        {"224.0.0.1",                   "a multicast address",      "begin of multicast"                  },
        {"239.255.255.255",             "a multicast address",      "end of multicast"                    },
        {"255.255.255.254",             NULL,                       "just below broadcast"                },
        {"255.255.255.255",             "the broadcast address",    "broadcast"                           },
        {"::",                          "the unspecified address",  "leads to this host"                  },
        {"fe7f:ffff::",                 NULL,                       "just below fe80::/10"                },
        {"fe80::1",                     "a link-local address",     "IPv6 link-local"                     },
        {"febf:ffff::1",                "a link-local address",     "end of fe80::/10"                    },
        {"fec0::1",                     NULL,                       "just above fe80::/10"                },
        {"fd00:ec2::254",               "a cloud metadata address", "IPv6 metadata of one cloud"          },
        {"fd00:ec2::253",               NULL,                       "its neighbour is an ordinary ULA"    },
        {"feff::1",                     NULL,                       "just below multicast"                },
        {"ff02::1",                     "a multicast address",      "IPv6 multicast"                      },
        {"::ffff:169.254.169.254",      "a link-local address",     "IPv4-mapped"                         },
        {"::ffff:a9fe:a9fe",            "a link-local address",     "IPv4-mapped, in hexadecimal"         },
        {"::ffff:127.0.0.1",            NULL,                       "mapped loopback"                     },
        {"::ffff:0.0.0.0",              "the unspecified address",  "mapped unspecified"                  },
        {"::169.254.169.254",           "a link-local address",     "IPv4-compatible"                     },
        {"::2",                         "the unspecified address",  "IPv4-compatible 0.0.0.2"             },
        {"::10.0.0.1",                  NULL,                       "IPv4-compatible private"             },
        {"64:ff9b::169.254.169.254",    "a link-local address",     "NAT64"                               },
        {"64:ff9b::8.8.8.8",            NULL,                       "NAT64 to a public address"           },
        {"64:ff9b::e000:1",             "a multicast address",      "NAT64 to multicast"                  },
        {"64:ff9b:1::169.254.169.254",  "a link-local address",     "local NAT64, /96"                    },
        {"64:ff9b:1::192.0.2.33",       NULL,                       "local NAT64, /96, public"            },
        {"64:ff9b:1:a9fe:a9:fe00::",    "a link-local address",     "local NAT64, /48"                    },
        {"64:ff9b:1:c000:2:2100::",     NULL,                       "local NAT64, /48, public"            },
        {"64:ff9b:1:a9:fe:a9fe::",      "a link-local address",     "local NAT64, /56"                    },
        {"64:ff9b:1:ab:a9:fea9:fe00:0", "a link-local address",     "local NAT64, /64"                    },
        {"64:ff9b:2::169.254.169.254",  NULL,                       "behind no NAT64 prefix"              },
        {"2001:db8::169.254.169.254",   NULL,                       "looks like one, leads somewhere else"},
    };
    const struct address_policy policy = {0};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sockaddr_storage ss = addr_of(cases[i].addr, 80);
        const char *got = address_refusal(&policy, as_addr(&ss));
        const char *want = cases[i].refusal;
        if ((got == NULL) != (want == NULL) || (got != NULL && !str_eq(str_z(got), str_z(want))))
            fail_msg("%s (%s): got '%s'", cases[i].addr, cases[i].why, got != NULL ? got : "-");
    }
}

static void test_address__refuses_our_own_listener(void **state)
{
    (void)state;
    static const struct {
        const char *own;
        const char *addr;
        uint16_t own_port;
        uint16_t port;
        bool refused;
        const char *why;
    } cases[] = {
        {"127.0.0.1",   "127.0.0.1",          3000, 3000,  true,  "the listener itself"             },
        {"127.0.0.1",   "127.0.0.1",          3000, 11434, false, "another program on this machine" },
        {"127.0.0.1",   "127.0.0.2",          3000, 3000,  false, "another address: not listened on"},
        {"127.0.0.1",   "::ffff:127.0.0.1",   3000, 3000,  true,  "written as mapped"               },
        {"127.0.0.1",   "64:ff9b::127.0.0.1", 3000, 3000,  true,  "written as NAT64"                },
        {"0.0.0.0",     "127.0.0.1",          3000, 3000,  true,  "the wildcard holds loopback"     },
        {"0.0.0.0",     "127.9.9.9",          3000, 3000,  true,  "any loopback address"            },
        {"0.0.0.0",     "::1",                3000, 3000,  true,  "loopback of the other family"    },
        {"0.0.0.0",     "127.0.0.1",          3000, 3001,  false, "the port differs"                },
        {"0.0.0.0",     "192.168.1.2",        3000, 3000,  false, "another machine with that port"  },
        {"::",          "127.0.0.1",          3000, 3000,  true,  "the IPv6 wildcard is dual"       },
        {"::",          "::1",                3000, 3000,  true,  "the IPv6 wildcard"               },
        {"192.168.1.9", "192.168.1.9",        3000, 3000,  true,  "bound to one address"            },
        {"192.168.1.9", "127.0.0.1",          3000, 3000,  false, "not bound to loopback"           },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct address_policy policy = {.own_listen =
                                                  addr_of(cases[i].own, cases[i].own_port)};
        struct sockaddr_storage ss = addr_of(cases[i].addr, cases[i].port);
        bool refused = address_refusal(&policy, as_addr(&ss)) != NULL;
        if (refused != cases[i].refused)
            fail_msg("%s to %s: %s", cases[i].own, cases[i].addr, cases[i].why);
    }
}

static void test_address__allowed_ranges_lift_a_refusal(void **state)
{
    (void)state;
    static const struct {
        const char *allow;
        const char *addr;
        bool refused;
        const char *why;
    } cases[] = {
        {"169.254.7.0/24",   "169.254.7.9",          false, "inside the range"            },
        {"169.254.7.0/24",   "169.254.8.9",          true,  "outside of it"               },
        {"169.254.7.0/24",   "::ffff:169.254.7.9",   false, "the same address, mapped"    },
        {"169.254.7.0/24",   "64:ff9b::169.254.7.9", false, "the address that it leads to"},
        {"64:ff9b::/96",     "64:ff9b::169.254.7.9", false, "the address as it is written"},
        {"64:ff9b::/96",     "169.254.7.9",          true,  "the range of the other form" },
        {"fe80::/10",        "fe80::1",              false, "IPv6"                        },
        {"1.1.1.1, fe80::1", "fe80::1",              false, "a later item"                },
        {"1.1.1.1, fe80::1", "fe80::2",              true,  "a single address is no range"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a;
        arena_init(&a, 65536);
        struct address_policy policy = {0};
        assert_int_equal(cidr_list_parse(&a, str_z(cases[i].allow), &policy.allow, NULL), ERR_OK);
        struct sockaddr_storage ss = addr_of(cases[i].addr, 80);
        bool refused = address_refusal(&policy, as_addr(&ss)) != NULL;
        if (refused != cases[i].refused)
            fail_msg("%s under %s: %s", cases[i].addr, cases[i].allow, cases[i].why);
        arena_release(&a);
    }
}

static void test_address__refuses_other_families(void **state)
{
    (void)state;
    const struct address_policy policy = {0};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    assert_non_null(address_refusal(&policy, (const struct sockaddr *)&un));
}

static void test_address__parses_lists_of_ranges(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err want;
        size_t n;
        size_t offset; // of the fault
        const char *why;
    } cases[] = {
        {"",                             ERR_OK,     0, 0, "nothing"                       },
        {" , ,",                         ERR_OK,     0, 0, "blanks and empty items"        },
        {"10.0.0.0/8, fd00::/8,1.2.3.4", ERR_OK,     3, 0, "both families, and one address"},
        {"10.0.0.0/0",                   ERR_OK,     1, 0, "shortest prefix"               },
        {"10.0.0.0/32",                  ERR_OK,     1, 0, "longest IPv4 prefix"           },
        {"10.0.0.0/33",                  ERR_RANGE,  0, 0, "one above"                     },
        {"::/128",                       ERR_OK,     1, 0, "longest IPv6 prefix"           },
        {"::/129",                       ERR_RANGE,  0, 0, "one above"                     },
        {"10.0.0.0/",                    ERR_RANGE,  0, 0, "no length"                     },
        {"10.0.0.0/-1",                  ERR_RANGE,  0, 0, "negative"                      },
        {"10.0.0.0/8x",                  ERR_RANGE,  0, 0, "junk behind the length"        },
        {"1.1.1.1, 10.0.0/8",            ERR_SYNTAX, 0, 9, "three octets"                  },
        {"example.com",                  ERR_SYNTAX, 0, 0, "a name"                        },
        {"010.0.0.1",                    ERR_SYNTAX, 0, 0, "octal"                         },
        {"[::1]",                        ERR_SYNTAX, 0, 0, "brackets"                      },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a;
        arena_init(&a, 65536);
        struct cidr_list list = {0};
        struct err_info info = {0};
        enum err got = cidr_list_parse(&a, str_z(cases[i].text), &list, &info);
        if (got != cases[i].want || list.n != cases[i].n || info.offset != cases[i].offset)
            fail_msg("'%s' (%s): %s, %zu items, offset %zu", cases[i].text, cases[i].why,
                     err_name(got), list.n, info.offset);
        arena_release(&a);
    }
}

static void test_address__finds_addresses_in_ranges(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        const char *addr;
        bool has;
        const char *why;
    } cases[] = {
        {"10.0.0.0/8",       "10.255.255.255",    true,  "last of the range"             },
        {"10.0.0.0/8",       "11.0.0.0",          false, "just above"                    },
        {"10.0.0.0/8",       "9.255.255.255",     false, "just below"                    },
        {"10.1.2.3/8",       "10.9.9.9",          true,  "host bits do not count"        },
        {"192.168.0.128/25", "192.168.0.127",     false, "just below half a byte"        },
        {"192.168.0.128/25", "192.168.0.128",     true,  "first of half a byte"          },
        {"0.0.0.0/0",        "8.8.8.8",           true,  "all of IPv4"                   },
        {"0.0.0.0/0",        "2001:db8::1",       false, "but nothing of IPv6"           },
        {"::/0",             "8.8.8.8",           true,  "IPv4 is held as mapped"        },
        {"10.0.0.0/8",       "::ffff:10.0.0.1",   true,  "mapped"                        },
        {"10.0.0.0/8",       "64:ff9b::10.0.0.1", false, "a peer behind NAT64 is another"},
        {"2001:db8::/33",    "2001:db8:7fff::",   true,  "inside an odd prefix"          },
        {"2001:db8::/33",    "2001:db8:8000::",   false, "outside an odd prefix"         },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a;
        arena_init(&a, 65536);
        struct cidr_list list;
        assert_int_equal(cidr_list_parse(&a, str_z(cases[i].list), &list, NULL), ERR_OK);
        struct sockaddr_storage ss = addr_of(cases[i].addr, 0);
        if (cidr_list_has(&list, as_addr(&ss)) != cases[i].has)
            fail_msg("%s in %s: %s", cases[i].addr, cases[i].list, cases[i].why);
        arena_release(&a);
    }
}

static void test_address__parses_literals_alone(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        const char *why;
    } cases[] = {
        {"192.0.2.1",                                      true,  "IPv4"            },
        {"2001:db8::1",                                    true,  "IPv6"            },
        {"::ffff:192.0.2.1",                               true,  "mapped"          },
        {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",  true,  "the longest form"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2550", false, "one longer"      },
        {"",                                               false, "nothing"         },
        {"localhost",                                      false, "a name"          },
        {"127.1",                                          false, "short form"      },
        {"0x7f.0.0.1",                                     false, "hexadecimal"     },
        {"2130706433",                                     false, "one number"      },
        {"192.0.2.1:80",                                   false, "with a port"     },
        {"fe80::1%eth0",                                   false, "with a zone"     },
        {" 192.0.2.1",                                     false, "with a blank"    },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sockaddr_storage ss;
        if (address_parse(str_z(cases[i].text), &ss) != cases[i].ok)
            fail_msg("'%s': %s", cases[i].text, cases[i].why);
    }
    struct sockaddr_storage ss;
    assert_false(address_parse(str_of("192.0.2.1\0", 10), &ss)); // a zero byte ends nothing
}

static void test_address__knows_loopback_and_private(void **state)
{
    (void)state;
    static const struct {
        const char *addr;
        bool loopback;
        bool private;
        const char *why;
    } cases[] = {
        {"127.0.0.1",          true,  true,  "loopback"                         },
        {"127.1.2.3",          true,  true,  "any of 127.0.0.0/8"               },
        {"126.255.255.255",    false, false, "just below"                       },
        {"128.0.0.0",          false, false, "just above"                       },
        {"::1",                true,  true,  "IPv6 loopback"                    },
        {"::2",                false, false, "its neighbour"                    },
        {"::ffff:127.0.0.1",   true,  true,  "a caller on a dual listener"      },
        {"::127.0.0.1",        false, false, "compatible: not from this machine"},
        {"64:ff9b::127.0.0.1", false, false, "NAT64: loopback of the translator"},
        {"10.0.0.0",           false, true,  "begin of 10.0.0.0/8"              },
        {"11.0.0.0",           false, false, "just above"                       },
        {"172.15.255.255",     false, false, "just below 172.16.0.0/12"         },
        {"172.16.0.0",         false, true,  "begin of it"                      },
        {"172.31.255.255",     false, true,  "end of it"                        },
        {"172.32.0.0",         false, false, "just above"                       },
        {"192.168.255.255",    false, true,  "end of 192.168.0.0/16"            },
        {"192.169.0.0",        false, false, "just above"                       },
        {"fbff::",             false, false, "just below fc00::/7"              },
        {"fc00::",             false, true,  "begin of it"                      },
        {"fdff::1",            false, true,  "in its upper half"                },
        {"fe00::",             false, false, "just above"                       },
        {"169.254.1.1",        false, false, "link-local is not private"        },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sockaddr_storage ss = addr_of(cases[i].addr, 0);
        if (address_is_loopback(as_addr(&ss)) != cases[i].loopback ||
            address_is_private(as_addr(&ss)) != cases[i].private)
            fail_msg("%s: %s", cases[i].addr, cases[i].why);
    }
}

static void test_address__writes_text(void **state)
{
    (void)state;
    static const struct {
        const char *addr;
        const char *want;
        const char *why;
    } cases[] = {
        {"192.0.2.1",          "192.0.2.1",         "IPv4"                      },
        {"2001:DB8:0:0::1",    "2001:db8::1",       "IPv6 in its short form"    },
        {"::ffff:192.0.2.1",   "192.0.2.1",         "mapped: what the caller is"},
        {"64:ff9b::192.0.2.1", "64:ff9b::c000:201", "NAT64 stays as it came"    },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sockaddr_storage ss = addr_of(cases[i].addr, 443);
        char text[ADDRESS_TEXT_BYTES];
        address_text(as_addr(&ss), text);
        if (!str_eq(str_z(text), str_z(cases[i].want)))
            fail_msg("%s: '%s' (%s)", cases[i].addr, text, cases[i].why);
    }
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char text[ADDRESS_TEXT_BYTES];
    address_text((const struct sockaddr *)&un, text);
    assert_string_equal(text, "unknown");
}

static void test_address__finds_the_caller_behind_proxies(void **state)
{
    (void)state;
    static const struct {
        const char *peer;
        const char *forwarded;
        const char *want;
        const char *why;
    } cases[] = {
        {"203.0.113.9",     "1.1.1.1",                         "203.0.113.9",  "an untrusted peer's word is nothing"},
        {"10.0.0.1",        "",                                "10.0.0.1",     "no header"                          },
        {"10.0.0.1",        "198.51.100.7",                    "198.51.100.7", "one hop"                            },
        {"10.0.0.1",        "6.6.6.6, 198.51.100.7",           "198.51.100.7", "the left part may be forged"        },
        {"10.0.0.1",        "198.51.100.7, 10.0.0.2",          "198.51.100.7", "two trusted hops"                   },
        {"10.0.0.1",        "198.51.100.7,10.0.0.2 ,10.0.0.3", "198.51.100.7", "three trusted hops"                 },
        {"10.0.0.1",        "10.0.0.3, 10.0.0.2",              "10.0.0.3",     "all trusted: the farthest"          },
        {"10.0.0.1",        "198.51.100.7, unknown",           "10.0.0.1",     "an item that is no address"         },
        {"10.0.0.1",        "198.51.100.7, unknown, 10.0.0.2", "10.0.0.2",     "as far as they vouch"               },
        {"10.0.0.1",        "198.51.100.7,",                   "10.0.0.1",     "an empty item"                      },
        {"10.0.0.1",        "198.51.100.7:4711",               "198.51.100.7", "with a port"                        },
        {"10.0.0.1",        "198.51.100.7:x",                  "10.0.0.1",     "with a broken port"                 },
        {"10.0.0.1",        "2001:db8::7",                     "2001:db8::7",  "IPv6"                               },
        {"10.0.0.1",        "[2001:db8::7]:4711",              "2001:db8::7",  "IPv6 with a port"                   },
        {"10.0.0.1",        "\"[2001:db8::7]\"",               "2001:db8::7",  "IPv6 in quotes"                     },
        {"10.0.0.1",        "[2001:db8::7]x",                  "10.0.0.1",     "junk behind the bracket"            },
        {"::ffff:10.0.0.1", "198.51.100.7",                    "198.51.100.7", "a mapped peer"                      },
    };
    struct arena a;
    arena_init(&a, 65536);
    struct cidr_list trusted;
    assert_int_equal(cidr_list_parse(&a, STR("10.0.0.0/8"), &trusted, NULL), ERR_OK);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sockaddr_storage peer = addr_of(cases[i].peer, 5000);
        struct sockaddr_storage got;
        address_of_caller(as_addr(&peer), str_z(cases[i].forwarded), &trusted, &got);
        char text[ADDRESS_TEXT_BYTES];
        address_text(as_addr(&got), text);
        if (!str_eq(str_z(text), str_z(cases[i].want)))
            fail_msg("'%s' from %s: '%s' (%s)", cases[i].forwarded, cases[i].peer, text,
                     cases[i].why);
    }
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address__refuses_what_no_upstream_may_be_at),
        cmocka_unit_test(test_address__refuses_our_own_listener),
        cmocka_unit_test(test_address__allowed_ranges_lift_a_refusal),
        cmocka_unit_test(test_address__refuses_other_families),
        cmocka_unit_test(test_address__parses_lists_of_ranges),
        cmocka_unit_test(test_address__finds_addresses_in_ranges),
        cmocka_unit_test(test_address__parses_literals_alone),
        cmocka_unit_test(test_address__knows_loopback_and_private),
        cmocka_unit_test(test_address__writes_text),
        cmocka_unit_test(test_address__finds_the_caller_behind_proxies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
