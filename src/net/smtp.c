/* Mail by SMTP (RFC 5321) with STARTTLS or TLS and AUTH, through libcurl. */
#include <stdio.h>
#include <string.h>

#include "net/curl_priv.h"
#include "net/http_client.h"

enum { DEFAULT_PORT = 587, DEFAULT_TIMEOUT_MS = 20000, CONNECT_TIMEOUT_MS = 10000 };

struct upload {
    struct toc_sv left;
};

static size_t on_read(char *out, size_t one, size_t n, void *ctx) {
    struct upload *u = ctx;
    size_t take = one * n < u->left.n ? one * n : u->left.n;
    if (take)
        memcpy(out, u->left.p, take);
    u->left = toc_sv_sub(u->left, take, u->left.n);
    return take;
}

/* The server's words end up nowhere but in the error. */
static size_t ignore(char *data, size_t one, size_t n, void *ctx) {
    (void)data;
    (void)ctx;
    return one * n;
}

static int fail(CURL *h, CURLcode rc, const struct toc_smtp_call *call, unsigned port,
                const char *reason, struct toc_err *err) {
    long status = 0;
    curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
    const char *text = reason[0] ? reason : curl_easy_strerror(rc);
    /* 5xx is the server's final word (RFC 5321, 4.2.1); 552 and 452 are about space and pass. */
    bool is_final = (status >= 500 && status < 600 && status != 552) || rc == CURLE_LOGIN_DENIED;
    return toc_errf(err, is_final ? TOC_EREJECTED : TOC_EUNAVAILABLE,
                    "mail server %s port %u: %s%s", call->host, port, text,
                    rc == CURLE_LOGIN_DENIED ? " (check user and password)" : "");
}

static void set_call(CURL *h, const struct toc_smtp_call *call, unsigned port, char *url,
                     size_t url_size) {
    int64_t total_ms = call->timeout_ms ? call->timeout_ms : DEFAULT_TIMEOUT_MS;
    bool is_tls = call->security == TOC_SMTP_TLS;
    bool is_v6 = strchr(call->host, ':') != NULL && call->host[0] != '[';
    snprintf(url, url_size, "%s://%s%s%s:%u", is_tls ? "smtps" : "smtp", is_v6 ? "[" : "",
             call->host, is_v6 ? "]" : "", port);
    toc_curl_common(h, call->ca_file, call->insecure_skip_verify, CONNECT_TIMEOUT_MS, total_ms);
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(h, CURLOPT_URL, url);
    curl_easy_setopt(h, CURLOPT_USE_SSL,
                     (long)(call->security == TOC_SMTP_PLAIN ? CURLUSESSL_NONE : CURLUSESSL_ALL));
    if (call->user) {
        curl_easy_setopt(h, CURLOPT_USERNAME, call->user);
        curl_easy_setopt(h, CURLOPT_PASSWORD, call->password ? call->password : "");
    }
    curl_easy_setopt(h, CURLOPT_MAIL_FROM, call->from);
    curl_easy_setopt(h, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(h, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, ignore);
    curl_easy_setopt(h, CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->message.n);
}

int toc_smtp_send(struct toc_http_client *c, const struct toc_smtp_call *call,
                  struct toc_err *err) {
    char url[300], reason[CURL_ERROR_SIZE] = "";
    unsigned port = call->port ? call->port : DEFAULT_PORT;
    struct upload upload = {call->message};
    struct curl_slist *recipients = NULL;
    if (!c->curl)
        return toc_errf(err, TOC_ENOMEM, "no memory for a mail client");
    for (const char *const *r = call->recipients; r && *r; r++)
        recipients = curl_slist_append(recipients, *r);
    if (!recipients)
        return toc_errf(err, TOC_EINVAL, "a mail needs at least one recipient");
    set_call(c->curl, call, port, url, sizeof url);
    curl_easy_setopt(c->curl, CURLOPT_MAIL_RCPT, recipients);
    curl_easy_setopt(c->curl, CURLOPT_READDATA, &upload);
    curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, reason);
    CURLcode rc = curl_easy_perform(c->curl);
    int result = rc == CURLE_OK ? 0 : fail(c->curl, rc, call, port, reason, err);
    curl_slist_free_all(recipients);
    return result;
}
