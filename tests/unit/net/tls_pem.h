/*
 * tls_pem - a root, a certificate of it for localhost, *.example.test and 127.0.0.1, and its key
 *
 * Made for tests alone; they run out in a hundred years. OTHER_KEY belongs to no certificate.
 */
#ifndef TESTS_TLS_PEM_H
#define TESTS_TLS_PEM_H

static const char ROOT_PEM[] = "-----BEGIN CERTIFICATE-----\n"
                               "MIIBfzCCASWgAwIBAgIUGTR7w2uFQ7mNe4UxFzzv9qrogoMwCgYIKoZIzj0EAwIw\n"
                               "FDESMBAGA1UEAwwJdGVzdCByb290MCAXDTI2MTEyMzAyMDAwOFoYDzIxMjYxMDMw\n"
                               "MDIwMDA4WjAUMRIwEAYDVQQDDAl0ZXN0IHJvb3QwWTATBgcqhkjOPQIBBggqhkjO\n"
                               "PQMBBwNCAAT71mrrhBThwgmLmOA+iJ819iOLP3zJSjENRfsqmfdx2CgLLOs745g7\n"
                               "VqKOdTfErGIRB6OzpB/Cbk9iSTDQqAmho1MwUTAdBgNVHQ4EFgQUBjeNNVn3wojW\n"
                               "LRjLcKZSjPfsmUcwHwYDVR0jBBgwFoAUBjeNNVn3wojWLRjLcKZSjPfsmUcwDwYD\n"
                               "VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEAm4VNWxCPHxjlEc0xCIhn\n"
                               "QuqRiuMqvINLKYIZh5zcBOwCIBxC0GZBvICIg6uhsMnfjYYfnSFGWyDAzIeK/A10\n"
                               "3bbB\n"
                               "-----END CERTIFICATE-----\n";

static const char CERT_PEM[] = "-----BEGIN CERTIFICATE-----\n"
                               "MIIBpjCCAUugAwIBAgIUFFORssdFCRKcJIqASipHn7K3ipcwCgYIKoZIzj0EAwIw\n"
                               "FDESMBAGA1UEAwwJdGVzdCByb290MCAXDTI2MTEyMzAyMDAwOFoYDzIxMjYxMDMw\n"
                               "MDIwMDA4WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO\n"
                               "PQMBBwNCAASYDD+4EVLeqewLXOe3zMHPsr0bXefSpnZtRkm0SLMz1Sn3i9VHsfS2\n"
                               "l5mxiQXqdNxH9zF0fOx33VAQsLbqOGR8o3kwdzAqBgNVHREEIzAhgglsb2NhbGhv\n"
                               "c3SCDiouZXhhbXBsZS50ZXN0hwR/AAABMAkGA1UdEwQCMAAwHQYDVR0OBBYEFFoC\n"
                               "3kQbEzw3gayn/KU6qvr6GhRKMB8GA1UdIwQYMBaAFAY3jTVZ98KI1i0Yy3CmUoz3\n"
                               "7JlHMAoGCCqGSM49BAMCA0kAMEYCIQCAzU+rX1yQT9OtRL3KzVXWIenvIilF4Ebb\n"
                               "6S/pfYEUbQIhAOC8Du+QN1FPlRzuIC+Os7gB8wJ3RZ1t68PGt5f9F9D+\n"
                               "-----END CERTIFICATE-----\n";

static const char KEY_PEM[] = "-----BEGIN EC PRIVATE KEY-----\n"
                              "MHcCAQEEICw5Rz0UrVPR91rtelGeIWdTZJJ4FKELzfvdmopGpzUjoAoGCCqGSM49\n"
                              "AwEHoUQDQgAEmAw/uBFS3qnsC1znt8zBz7K9G13n0qZ2bUZJtEizM9Up94vVR7H0\n"
                              "tpeZsYkF6nTcR/cxdHzsd91QELC26jhkfA==\n"
                              "-----END EC PRIVATE KEY-----\n";

static const char OTHER_KEY_PEM[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEIO52koOK8RalLN0ReLx4u7L0/kulqSBlEppNsvYghSw8oAoGCCqGSM49\n"
    "AwEHoUQDQgAEl4mBkmrahOxz9mG5/d5etsDNyHDdxeYzLV0UpIAyD90dFE2PUqGW\n"
    "CoF3vOT37/S7zG4RQYQNsLsMur8h60ZiTw==\n"
    "-----END EC PRIVATE KEY-----\n";

#endif
