#include "../cmocka_prelude.h"

#include <math.h>

#include "codec/template.h"
#include "notify/ack_link.h"
#include "sample.h"

static void a_notification_survives_encoding(void **state) {
    (void)state;
    struct toc_notification n = sample_notification(), back;
    struct toc_buf json = TOC_BUF_INIT, again = TOC_BUF_INIT;
    struct toc_arena a = TOC_ARENA_INIT;
    struct toc_err err = {0};
    n.expected_lower = NAN;
    n.value = INFINITY;
    toc_notification_encode(&n, &json);
    assert_int_equal(toc_notification_decode(toc_buf_sv(&json), &a, &back, &err), 0);
    assert_true(isinf(back.value));
    assert_true(isnan(back.expected_lower));
    assert_int_equal(back.alert_count, 2);
    assert_true(toc_labels_eq(back.alerts[0].labels, n.alerts[0].labels));
    toc_notification_encode(&back, &again);
    assert_string_equal(toc_buf_cstr(&json), toc_buf_cstr(&again));
    assert_int_equal(toc_notification_decode(TOC_SV("[]"), &a, &back, &err), TOC_ETYPE);
    toc_err_reset(&err);
    assert_int_equal(toc_notification_decode(TOC_SV("{\"title\":3}"), &a, &back, &err), TOC_ETYPE);
    toc_buf_fini(&json);
    toc_buf_fini(&again);
    toc_arena_fini(&a);
}

static void the_default_text_tells_the_story(void **state) {
    (void)state;
    struct toc_notification n = sample_notification();
    struct toc_buf b = TOC_BUF_INIT;
    toc_message_text(&n, TOC_LANGUAGE_EN, &b);
    assert_string_equal(toc_buf_cstr(&b), "[FIRING] critical: Loss became NaN in run demo\n"
                                          "\n"
                                          "Step 120: the loss is not a number.\n"
                                          "\n"
                                          "On: rank=3, run=demo\n"
                                          "Since: 2026-11-24 13:17:34 UTC (4m10s)\n"
                                          "Value: 12.5 s (limit > 10 s) (expected 2 s – 4.5 s)\n"
                                          "Trend: ▁▂▃▄█\n"
                                          "Likely cause: learning rate too high\n"
                                          "Do first: stop the run\n"
                                          "Alerts: \n"
                                          "  [FIRING] alertname=NonFinite, run=demo\n"
                                          "  [RESOLVED] rank=3, run=demo\n"
                                          "Runbook: https://t/runbook\n"
                                          "Incident: https://t/i/inc-1\n"
                                          "Acknowledge: https://t/ack?token=abc\n");
    toc_buf_reset(&b);
    n.is_resolved = true;
    n.alert_count = 0;
    toc_message_text(&n, TOC_LANGUAGE_ZH, &b);
    assert_non_null(strstr(toc_buf_cstr(&b), "[已恢复] Loss became NaN in run demo\n"));
    assert_non_null(strstr(toc_buf_cstr(&b), "恢复时间: 2026-11-24 13:21:44 UTC (持续 4m10s)\n"));
    assert_null(strstr(toc_buf_cstr(&b), "ack?token"));
    toc_buf_fini(&b);
}

static void html_escapes_everything(void **state) {
    (void)state;
    struct toc_notification n = sample_notification();
    struct toc_buf b = TOC_BUF_INIT;
    n.title = TOC_SV("<script>alert(1)</script>");
    n.runbook_url = TOC_SV("javascript:alert(1)");
    toc_message_html(&n, TOC_LANGUAGE_EN, &b);
    assert_null(strstr(toc_buf_cstr(&b), "<script>"));
    assert_non_null(strstr(toc_buf_cstr(&b), "&lt;script&gt;"));
    assert_null(strstr(toc_buf_cstr(&b), "href=\"javascript"));
    assert_non_null(strstr(toc_buf_cstr(&b), "<a href=\"https://t/ack?token=abc\">"));
    toc_buf_fini(&b);
}

static void subjects_are_one_short_line(void **state) {
    (void)state;
    struct toc_notification n = sample_notification();
    struct toc_buf b = TOC_BUF_INIT, title = TOC_BUF_INIT;
    for (int i = 0; i < 100; i++)
        toc_buf_append_cstr(&title, "损失\n");
    n.title = toc_buf_sv(&title);
    toc_message_subject(&n, TOC_LANGUAGE_EN, &b);
    assert_true(b.n <= 200);
    assert_true(toc_sv_is_utf8(toc_buf_sv(&b)));
    assert_null(memchr(b.p, '\n', b.n));
    assert_true(toc_sv_ends_with(toc_buf_sv(&b), TOC_SV("…")));
    toc_buf_fini(&b);
    toc_buf_fini(&title);
}

static void sms_segments_follow_the_alphabet(void **state) {
    (void)state;
    char text[400];
    memset(text, 'a', sizeof text);
    assert_int_equal(toc_sms_segments(toc_sv_make(text, 160)), 1);
    assert_int_equal(toc_sms_segments(toc_sv_make(text, 161)), 2);
    assert_int_equal(toc_sms_segments(toc_sv_make(text, 306)), 2);
    assert_int_equal(toc_sms_segments(toc_sv_make(text, 307)), 3);
    text[0] = '{'; /* two septets */
    assert_int_equal(toc_sms_segments(toc_sv_make(text, 160)), 2);
    assert_int_equal(toc_sms_segments(TOC_SV("é€")), 1);
    struct toc_buf b = TOC_BUF_INIT;
    for (int i = 0; i < 70; i++)
        toc_buf_append_cstr(&b, "损");
    assert_int_equal(toc_sms_segments(toc_buf_sv(&b)), 1);
    toc_buf_append_cstr(&b, "失");
    assert_int_equal(toc_sms_segments(toc_buf_sv(&b)), 2);
    toc_buf_fini(&b);
}

static void the_short_form_keeps_the_link(void **state) {
    (void)state;
    struct toc_notification n = sample_notification();
    struct toc_buf b = TOC_BUF_INIT, title = TOC_BUF_INIT;
    toc_message_short(&n, TOC_LANGUAGE_EN, 3, &b);
    assert_string_equal(toc_buf_cstr(&b),
                        "[FIRING] critical: Loss became NaN in run demo; 12.5 s > 10 s; rank=3, "
                        "run=demo https://t/ack?token=abc");
    for (int i = 0; i < 60; i++)
        toc_buf_append_cstr(&title, "损失");
    n.title = toc_buf_sv(&title);
    for (int max = 1; max <= 3; max++) {
        toc_buf_reset(&b);
        toc_message_short(&n, TOC_LANGUAGE_ZH, max, &b);
        assert_true(toc_sms_segments(toc_buf_sv(&b)) <= max);
        assert_true(toc_sv_is_utf8(toc_buf_sv(&b)));
        assert_true(toc_sv_ends_with(toc_buf_sv(&b), n.ack_url));
    }
    toc_buf_fini(&b);
    toc_buf_fini(&title);
}

static void sparklines_span_their_range(void **state) {
    (void)state;
    struct toc_buf b = TOC_BUF_INIT;
    double values[] = {0, NAN, 7, INFINITY, -INFINITY, 3.5};
    toc_sparkline(values, 6, &b);
    assert_string_equal(toc_buf_cstr(&b), "▁ ██▁▅");
    toc_buf_reset(&b);
    double flat[] = {5, 5, 5};
    toc_sparkline(flat, 3, &b);
    assert_string_equal(toc_buf_cstr(&b), "▄▄▄");
    toc_buf_reset(&b);
    double huge[] = {-1.7e308, 1.7e308, NAN};
    toc_sparkline(huge, 3, &b);
    assert_string_equal(toc_buf_cstr(&b), "▁█ ");
    toc_buf_fini(&b);
}

static void templates_find_alertmanagers_names_and_ours(void **state) {
    (void)state;
    struct toc_notification n = sample_notification();
    struct toc_arena a = TOC_ARENA_INIT;
    struct toc_template_input in;
    struct toc_buf b = TOC_BUF_INIT;
    struct toc_err err = {0};
    assert_int_equal(toc_message_template_input(&n, TOC_SV("T"), TOC_SV("+1"), &a, &in), 0);
    int rc = toc_template_expand(
        TOC_SV("{{ .Status }} {{ len .Alerts.Firing }} "
               "{{ range .Alerts }}{{ .Labels.alertname }}|{{ end }}"
               "{{ .GroupLabels.SortedPairs | len }} {{ .CommonAnnotations.summary }} {{ .Value }} "
               "{{ .Subject.rank }} {{ .Since }} {{ .Text }}{{ .To }} "
               "{{ (index .Alerts 0).StartsAt }}"),
        &in, &b, &err);
    assert_int_equal(rc, 0);
    assert_string_equal(toc_buf_cstr(&b),
                        "firing 1 NonFinite||1 loss is <NaN> 12.5 3 2026-11-24T13:17:34.250Z T+1 "
                        "2026-11-24T13:17:34.250Z");
    toc_buf_fini(&b);
    toc_arena_fini(&a);
}

static void ack_tokens_hold_for_one_incident_and_time(void **state) {
    (void)state;
    unsigned char key[TOC_ACK_KEY_BYTES] = {1, 2, 3}, other[TOC_ACK_KEY_BYTES] = {9};
    struct toc_buf token = TOC_BUF_INIT, link = TOC_BUF_INIT;
    struct toc_ts expires = {1000000}, before = {999000}, after = {1000000};
    struct toc_sv id = TOC_SV("inc-1");
    toc_ack_token_make(key, id, expires, &token);
    struct toc_sv t = toc_buf_sv(&token);
    assert_int_equal(toc_ack_token_verify(key, id, t, before, NULL), 0);
    assert_int_equal(toc_ack_token_verify(key, id, t, after, NULL), TOC_ETOO_OLD);
    assert_int_equal(toc_ack_token_verify(key, TOC_SV("inc-2"), t, before, NULL), TOC_EAUTH);
    assert_int_equal(toc_ack_token_verify(other, id, t, before, NULL), TOC_EAUTH);
    assert_int_equal(toc_ack_token_verify(key, id, TOC_SV(""), before, NULL), TOC_EAUTH);
    for (size_t i = 0; i < t.n; i++) { /* any changed character is noticed */
        token.p[i] = token.p[i] == 'A' ? 'B' : 'A';
        assert_int_equal(toc_ack_token_verify(key, id, t, before, NULL), TOC_EAUTH);
        toc_buf_reset(&token);
        toc_ack_token_make(key, id, expires, &token);
    }
    toc_ack_link_page(TOC_SV("https://t/"), TOC_SV("a b"), TOC_SV("TOK"), &link);
    assert_string_equal(toc_buf_cstr(&link),
                        "https://t/api/tocsin/v1/incidents/a%20b/ack?token=TOK");
    toc_buf_fini(&token);
    toc_buf_fini(&link);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_notification_survives_encoding),
        cmocka_unit_test(the_default_text_tells_the_story),
        cmocka_unit_test(html_escapes_everything),
        cmocka_unit_test(subjects_are_one_short_line),
        cmocka_unit_test(sms_segments_follow_the_alphabet),
        cmocka_unit_test(the_short_form_keeps_the_link),
        cmocka_unit_test(sparklines_span_their_range),
        cmocka_unit_test(templates_find_alertmanagers_names_and_ours),
        cmocka_unit_test(ack_tokens_hold_for_one_incident_and_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
