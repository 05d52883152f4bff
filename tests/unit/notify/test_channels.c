/* The bytes that each channel would send. */
#include "../cmocka_prelude.h"

#include "notify/channel_priv.h"
#include "notify/mime.h"
#include "sample.h"

static bool has_header(const struct toc_channel_request *r, const char *line) {
    for (size_t i = 0; i < r->header_count; i++)
        if (strcmp(r->headers[i], line) == 0)
            return true;
    return false;
}

static const char *const recipients[] = {"On Call <oncall@example.org>", "ops@example.org", NULL};

static struct toc_channel email_channel(void) {
    return (struct toc_channel){.kind = TOC_CHANNEL_EMAIL,
                                .name = "email",
                                .email = {.smarthost = "mail.example.org",
                                          .from = "Tocsin, Inc. <tocsin@example.org>",
                                          .to = recipients}};
}

static void a_mail_is_a_correct_message(void **state) {
    (void)state;
    struct toc_channel c = email_channel();
    struct toc_notification n = sample_notification();
    struct toc_buf m = TOC_BUF_INIT;
    struct toc_delivery d = {0};
    struct toc_err err = {0};
    assert_int_equal(toc_build_email(&c, &n, &m, &d, &err), 0);
    const char *text = toc_buf_cstr(&m);
    static const char *const parts[] = {
        "Date: Tue, 24 Nov 2026 13:21:44 +0000\r\n",
        "From: \"Tocsin, Inc.\" <tocsin@example.org>\r\n",
        "To: \"On Call\" <oncall@example.org>,\r\n ops@example.org\r\n",
        "Subject: [FIRING] critical: Loss became NaN in run demo\r\n",
        "Message-ID: <n-",
        "In-Reply-To: <thread-",
        "References: <thread-",
        "@example.org>\r\n",
        "Auto-Submitted: auto-generated\r\n",
        "MIME-Version: 1.0\r\n",
        "Content-Type: multipart/alternative;\r\n boundary=\"=_tocsin_",
        ("Content-Type: text/plain; charset=utf-8\r\n"
         "Content-Transfer-Encoding: quoted-printable\r\n\r\n"),
        "Trend: =E2=96=81",
        "X-Tocsin-Status: firing\r\n"};
    for (size_t i = 0; i < TOC_ARRAY_LEN(parts); i++)
        if (!strstr(text, parts[i]))
            fail_msg("missing %s in\n%s", parts[i], text);
    assert_true(strstr(text, "text/html") > strstr(text, "text/plain"));
    for (size_t i = 0, start = 0; i < m.n; i++) { /* CRLF everywhere, short lines, 7 bit */
        assert_true((uint8_t)m.p[i] < 0x80);
        if (m.p[i] != '\n')
            continue;
        assert_true(i && m.p[i - 1] == '\r');
        assert_true(i - start <= 100);
        start = i + 1;
    }
    toc_buf_fini(&m);
}

static void mail_headers_cannot_be_injected(void **state) {
    (void)state;
    struct toc_channel c = email_channel();
    struct toc_notification n = sample_notification();
    struct toc_buf m = TOC_BUF_INIT;
    struct toc_delivery d = {0};
    n.title = TOC_SV("x\r\nBcc: evil@example.org");
    c.title_template = "{{ .Title }}";
    assert_int_equal(toc_build_email(&c, &n, &m, &d, NULL), 0);
    assert_null(strstr(toc_buf_cstr(&m), "\r\nBcc:"));
    c.email.from = "a@b\r\nBcc: x@y";
    toc_buf_reset(&m);
    assert_int_equal(toc_build_email(&c, &n, &m, &d, NULL), TOC_EINVAL);
    toc_buf_fini(&m);
}

static void mails_of_one_incident_thread_and_keys_tell_them_apart(void **state) {
    (void)state;
    struct toc_channel c = email_channel();
    struct toc_notification n = sample_notification();
    char ids[3][100], threads[3][100];
    for (int i = 0; i < 3; i++) {
        struct toc_buf m = TOC_BUF_INIT;
        struct toc_delivery d = {0};
        n.key = i == 2 ? TOC_SV("inc-1:resolved") : TOC_SV("inc-1:firing");
        assert_int_equal(toc_build_email(&c, &n, &m, &d, NULL), 0);
        const char *id = strstr(toc_buf_cstr(&m), "Message-ID: "), *t = strstr(id, "References: ");
        toc_sv_copy(toc_sv_make(id, (size_t)(strchr(id, '\r') - id)), ids[i], sizeof ids[i]);
        toc_sv_copy(toc_sv_make(t, (size_t)(strchr(t, '\r') - t)), threads[i], sizeof threads[i]);
        toc_buf_fini(&m);
    }
    assert_string_equal(ids[0], ids[1]);
    assert_string_not_equal(ids[0], ids[2]);
    assert_string_equal(threads[0], threads[2]);
}

static void encoded_words_are_short_and_whole(void **state) {
    (void)state;
    struct toc_buf b = TOC_BUF_INIT;
    toc_mime_header("Subject",
                    TOC_SV("[告警] 严重: 训练损失变成了非数字，请立即检查运行 demo 的学习率设置"),
                    &b);
    assert_true(toc_sv_starts_with(toc_buf_sv(&b), TOC_SV("Subject: =?UTF-8?B?")));
    struct toc_sv line;
    for (struct toc_sv rest = toc_buf_sv(&b); toc_sv_split(&rest, '\n', &line);)
        assert_true(line.n <= 90);
    toc_buf_reset(&b);
    toc_mime_quoted_printable(TOC_SV("a=b \nend\xe4\xb8\xad\n"), &b);
    assert_string_equal(toc_buf_cstr(&b), "a=3Db=20\r\nend=E4=B8=AD\r\n");
    toc_buf_fini(&b);
}

static void a_broken_template_sends_the_default_and_a_note(void **state) {
    (void)state;
    struct toc_channel c = {.kind = TOC_CHANNEL_NTFY,
                            .name = "ntfy",
                            .text_template = "{{ .Nope",
                            .ntfy = {.url = "https://ntfy.example/alerts"}};
    struct toc_notification n = sample_notification();
    struct toc_buf b = TOC_BUF_INIT;
    struct toc_delivery d = {0};
    toc_channel_text(&c, &n, &b, &d);
    assert_true(d.template_failed);
    assert_non_null(strstr(toc_buf_cstr(&b), "[FIRING] critical"));
    assert_non_null(strstr(toc_buf_cstr(&b), "(default text used: custom template failed at 1:"));
    toc_buf_reset(&b);
    d = (struct toc_delivery){0};
    c.text_template = "{{ .Title | toUpper }}";
    toc_channel_text(&c, &n, &b, &d);
    assert_string_equal(toc_buf_cstr(&b), "LOSS BECAME NAN IN RUN DEMO");
    toc_buf_fini(&b);
}

static void ntfy_speaks_json(void **state) {
    (void)state;
    struct toc_channel c = {.kind = TOC_CHANNEL_NTFY,
                            .name = "ntfy",
                            .text_template = "text 中",
                            .ntfy = {.url = "https://ntfy.example/sub/alerts"}};
    struct toc_notification n = sample_notification();
    struct toc_channel_request r = {0};
    struct toc_delivery d = {0};
    assert_int_equal(toc_build_ntfy(&c, &n, &r, &d, NULL), 0);
    assert_string_equal(toc_buf_cstr(&r.url), "https://ntfy.example/sub/");
    assert_string_equal(
        toc_buf_cstr(&r.body),
        "{\"topic\":\"alerts\",\"title\":\"[FIRING] critical: Loss became NaN in run demo\","
        "\"message\":\"text 中\",\"priority\":5,\"tags\":[\"rotating_light\"],"
        "\"click\":\"https://t/i/"
        "inc-1\",\"actions\":[{\"action\":\"http\",\"label\":\"Acknowledge\","
        "\"url\":\"https://t/acknowledge-link?token=abc\",\"method\":\"POST\",\"clear\":true},"
        "{\"action\":\"view\",\"label\":\"Open\",\"url\":\"https://t/i/inc-1\"},"
        "{\"action\":\"view\",\"label\":\"Runbook\",\"url\":\"https://t/runbook\"}]}");
    assert_true(has_header(&r, "Content-Type: application/json"));
    toc_channel_request_fini(&r);
}

static void ntfy_speaks_headers(void **state) {
    (void)state;
    struct toc_channel c = {.kind = TOC_CHANNEL_NTFY,
                            .name = "ntfy",
                            .ntfy = {.url = "https://ntfy.example/alerts", .use_headers = true}};
    struct toc_notification n = sample_notification();
    struct toc_channel_request r = {0};
    struct toc_delivery d = {0};
    n.title = TOC_SV("a\r\nX-Evil: 1");
    assert_int_equal(toc_build_ntfy(&c, &n, &r, &d, NULL), 0);
    assert_string_equal(toc_buf_cstr(&r.url), "https://ntfy.example/alerts");
    assert_true(has_header(&r, "Title: [FIRING] critical: a  X-Evil: 1"));
    assert_true(has_header(&r, "Priority: 5"));
    assert_true(has_header(&r, "Click: https://t/i/inc-1"));
    assert_true(has_header(&r, "Actions: http, Acknowledge, https://t/acknowledge-link?token=abc, "
                               "method=POST, clear=true; view, Open, https://t/i/inc-1; view, "
                               "Runbook, https://t/runbook"));
    toc_channel_request_fini(&r);
}

static void long_texts_are_cut_for_ntfy(void **state) {
    (void)state;
    struct toc_channel c = {.kind = TOC_CHANNEL_NTFY,
                            .name = "ntfy",
                            .ntfy = {.url = "https://n/a", .use_headers = true}};
    struct toc_notification n = sample_notification();
    struct toc_channel_request r = {0};
    struct toc_delivery d = {0};
    struct toc_buf summary = TOC_BUF_INIT;
    for (int i = 0; i < 3000; i++)
        toc_buf_append_cstr(&summary, "中");
    n.summary = toc_buf_sv(&summary);
    assert_int_equal(toc_build_ntfy(&c, &n, &r, &d, NULL), 0);
    assert_true(r.body.n <= 4000);
    assert_true(toc_sv_is_utf8(toc_buf_sv(&r.body)));
    toc_buf_fini(&summary);
    toc_channel_request_fini(&r);
}

static void an_sms_fills_the_gateways_form(void **state) {
    (void)state;
    struct toc_channel c = {.kind = TOC_CHANNEL_SMS,
                            .name = "sms",
                            .text_template = "a \"b\" & c",
                            .sms = {.to = "+86 1",
                                    .url = "https://g/send?to={{ .To | urlquery }}",
                                    .body = "{\"t\":{{ .Text | toJson }}}"}};
    struct toc_notification n = sample_notification();
    struct toc_channel_request r = {0};
    struct toc_delivery d = {0};
    assert_int_equal(toc_build_sms(&c, &n, &r, &d, NULL), 0);
    assert_string_equal(r.method, "POST");
    assert_string_equal(toc_buf_cstr(&r.url), "https://g/send?to=%2B86%201");
    assert_string_equal(toc_buf_cstr(&r.body), "{\"t\":\"a \\\"b\\\" \\u0026 c\"}");
    assert_true(has_header(&r, "Idempotency-Key: inc-1:firing"));
    toc_channel_request_fini(&r);
    r = (struct toc_channel_request){0};
    c.sms.body = NULL;
    assert_int_equal(toc_build_sms(&c, &n, &r, &d, NULL), 0);
    assert_string_equal(toc_buf_cstr(&r.body),
                        "{\"to\":\"+86 1\",\"text\":\"a \\\"b\\\" \\u0026 c\"}");
    toc_channel_request_fini(&r);
    r = (struct toc_channel_request){0};
    c.sms.method = "GET";
    assert_int_equal(toc_build_sms(&c, &n, &r, &d, NULL), 0);
    assert_int_equal(r.body.n, 0);
    toc_channel_request_fini(&r);
}

static void twilio_gets_its_form(void **state) {
    (void)state;
    struct toc_channel c = {
        .kind = TOC_CHANNEL_TWILIO,
        .name = "twilio",
        .text_template = "a&b",
        .twilio = {
            .to = "+15550001", .from = "+15550002", .account_sid = "AC1", .auth_token = "secret"}};
    struct toc_notification n = sample_notification();
    struct toc_channel_request r = {0};
    struct toc_delivery d = {0};
    assert_int_equal(toc_build_twilio(&c, &n, &r, &d, NULL), 0);
    assert_string_equal(toc_buf_cstr(&r.url),
                        "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json");
    assert_string_equal(toc_buf_cstr(&r.body), "To=%2B15550001&From=%2B15550002&Body=a%26b");
    toc_channel_request_fini(&r);
}

static void the_webhook_is_alertmanagers(void **state) {
    (void)state;
    struct toc_channel c = {.kind = TOC_CHANNEL_WEBHOOK,
                            .name = "webhook",
                            .webhook = {.url = "https://w/hook", .max_alerts = 1}};
    struct toc_notification n = sample_notification();
    struct toc_channel_request r = {0};
    struct toc_delivery d = {0};
    assert_int_equal(toc_build_webhook(&c, &n, &r, &d, NULL), 0);
    assert_string_equal(
        toc_buf_cstr(&r.body),
        "{\"receiver\":\"team\",\"status\":\"firing\",\"alerts\":[{\"status\":\"firing\","
        "\"labels\":{\"alertname\":\"NonFinite\",\"run\":\"demo\"},"
        "\"annotations\":{\"summary\":\"loss is \\u003cNaN\\u003e\"},"
        "\"startsAt\":\"2026-11-24T13:17:34.250Z\",\"endsAt\":\"0001-01-01T00:00:00Z\","
        "\"generatorURL\":\"http://t/graph?a=1\\u0026b=2\",\"fingerprint\":\"a4d932fc89fc0a40\"}],"
        "\"groupLabels\":{\"alertname\":\"NonFinite\"},"
        "\"commonLabels\":{\"alertname\":\"NonFinite\",\"run\":\"demo\"},"
        "\"commonAnnotations\":{\"summary\":\"loss is \\u003cNaN\\u003e\"},"
        "\"externalURL\":\"https://t\",\"version\":\"4\",\"groupKey\":\"{}:{run=\\\"demo\\\"}\","
        "\"truncatedAlerts\":1}");
    toc_channel_request_fini(&r);
}

static void a_receivers_mistakes_are_named(void **state) {
    (void)state;
    static const char *const bad_to[] = {"nobody", NULL};
    struct toc_channel c = email_channel();
    struct toc_receiver r = {"team", &c, 1};
    struct toc_err err = {0};
    assert_int_equal(toc_receiver_check(&r, &err), 0);
    c.email.to = bad_to;
    assert_int_equal(toc_receiver_check(&r, &err), TOC_EINVAL);
    assert_string_equal(err.message,
                        "receiver \"team\", channel \"email\": to is not a mail address");
    toc_err_reset(&err);
    c = (struct toc_channel){
        .kind = TOC_CHANNEL_NTFY, .name = "n", .ntfy = {.url = "https://host/"}};
    assert_int_equal(toc_receiver_check(&r, &err), TOC_EINVAL);
    toc_err_reset(&err);
    c.ntfy.url = "https://host/topic";
    c.title_template = "{{ if }}";
    assert_int_equal(toc_receiver_check(&r, &err), TOC_EINVAL);
    assert_non_null(strstr(err.message, "title at 1:7"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mail_is_a_correct_message),
        cmocka_unit_test(mail_headers_cannot_be_injected),
        cmocka_unit_test(mails_of_one_incident_thread_and_keys_tell_them_apart),
        cmocka_unit_test(encoded_words_are_short_and_whole),
        cmocka_unit_test(a_broken_template_sends_the_default_and_a_note),
        cmocka_unit_test(ntfy_speaks_json),
        cmocka_unit_test(ntfy_speaks_headers),
        cmocka_unit_test(long_texts_are_cut_for_ntfy),
        cmocka_unit_test(an_sms_fills_the_gateways_form),
        cmocka_unit_test(twilio_gets_its_form),
        cmocka_unit_test(the_webhook_is_alertmanagers),
        cmocka_unit_test(a_receivers_mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
