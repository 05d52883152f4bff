#include "recording_sink.h"

#include "../../fake/nvml/fake_nvml.h"
#include "collect/nvml.h"
#include "sys/dynlib.h"

static const char *g_library;

static struct toc_nvml *make(const char *library) {
    return toc_nvml_new(&(struct toc_nvml_options){.library = library, .instance = "i"});
}

static int collect(struct toc_nvml *n, struct recording_sink *s, int64_t ms) {
    struct toc_err err = {0};
    return toc_nvml_collect(n, (struct toc_ts){ms}, &s->base, &err);
}

/* The value of a series by name and GPU; NaN when it was not written. */
static double value_of(const struct recording_sink *s, const char *name, const char *gpu,
                       const char *more) {
    char want[64];
    snprintf(want, sizeof want, "gpu=\"%s\"", gpu);
    for (size_t i = s->points.count; i-- > 0;) {
        const char *series = s->points.items[i].series;
        size_t n = strlen(name);
        if (strncmp(series, name, n) == 0 && series[n] == '{' && strstr(series, want) &&
            strstr(series, more))
            return s->points.items[i].value;
    }
    return NAN;
}

static void an_absent_library_is_no_error(void **state) {
    (void)state;
    struct recording_sink s;
    recording_init(&s);
    struct toc_nvml *n = make("libdoes-not-exist.so.1");
    assert_int_equal(collect(n, &s, 1000), 0);
    assert_int_equal(collect(n, &s, 62000), 0);
    assert_int_equal(s.writes, 0);
    toc_nvml_free(&n);
    recording_fini(&s);
}

static void metrics_carry_dcgm_names_and_labels(void **state) {
    (void)state;
    struct recording_sink s;
    recording_init(&s);
    struct toc_nvml *n = make(g_library);
    assert_int_equal(collect(n, &s, 1000), 0);
    assert_int_equal(toc_nvml_device_count(n), 2);
    static const struct {
        const char *name;
        double value;
    } want[] = {
        {"DCGM_FI_DEV_GPU_UTIL", 87},
        {"DCGM_FI_DEV_MEM_COPY_UTIL", 12},
        {"DCGM_FI_DEV_FB_FREE", 60},
        {"DCGM_FI_DEV_FB_USED", 40},
        {"DCGM_FI_DEV_POWER_USAGE", 345.678},
        {"DCGM_FI_DEV_GPU_TEMP", 66},
        {"DCGM_FI_DEV_SM_CLOCK", 1980},
        {"DCGM_FI_DEV_MEM_CLOCK", 3201},
        {"DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", 1},
        {"DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", 11},
        {"DCGM_FI_DEV_ECC_SBE_AGG_TOTAL", 101},
        {"DCGM_FI_DEV_ECC_DBE_AGG_TOTAL", 111},
        {"DCGM_FI_DEV_CLOCK_THROTTLE_REASONS", 64},
        {"DCGM_FI_DEV_THERMAL_VIOLATION", 1000},
        {"DCGM_FI_DEV_ROW_REMAP_FAILURE", 1},
        {"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", 5e9},
        {"DCGM_FI_DEV_XID_ERRORS", 0},
        {"tocsin_gpu_lost", 0},
    };
    for (size_t i = 0; i < TOC_ARRAY_LEN(want); i++)
        assert_true(fabs(value_of(&s, want[i].name, "0", "") - want[i].value) < 1e-9);
    assert_true(isnan(value_of(&s, "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", "1", "")));
    assert_true(isnan(value_of(&s, "DCGM_FI_DEV_MEMORY_TEMP", "0", ""))); /* function absent */
    const char *labels[] = {"UUID=\"GPU-1\"",
                            "device=\"nvidia1\"",
                            "modelName=\"Fake H200\"",
                            "Hostname=\"",
                            "pci_bus_id=\"00000000:08:00.0\"",
                            "instance=\"i\"",
                            "DCGM_FI_DRIVER_VERSION=\"550.54.15\"",
                            "job=\"dcgm\""};
    for (size_t i = 0; i < TOC_ARRAY_LEN(labels); i++)
        assert_true(value_of(&s, "DCGM_FI_DEV_GPU_UTIL", "1", labels[i]) == 87);
    toc_nvml_free(&n);
    recording_fini(&s);
}

static void xids_are_counted_each_time(void **state) {
    struct fake_nvml *fake = *state;
    struct recording_sink s;
    recording_init(&s);
    struct toc_nvml *n = make(g_library);
    assert_int_equal(collect(n, &s, 1000), 0);
    assert_int_equal(fake->registered, 2);
    fake->xid = 79, fake->xid_gpu = 1, fake->xid_count = 2;
    assert_int_equal(collect(n, &s, 2000), 0);
    assert_true(value_of(&s, "tocsin_gpu_xid_errors_total", "1", "xid=\"79\"") == 0);
    assert_int_equal(collect(n, &s, 3000), 0);
    assert_true(value_of(&s, "tocsin_gpu_xid_errors_total", "1", "xid=\"79\"") == 2);
    assert_true(value_of(&s, "DCGM_FI_DEV_XID_ERRORS", "1",
                         "err_code=\"79\", err_msg=\"GPU has fallen off the bus\"") == 79);
    assert_true(isnan(value_of(&s, "tocsin_gpu_xid_errors_total", "0", "")));
    fake->xid_count = 1;
    assert_int_equal(collect(n, &s, 4000), 0);
    assert_true(value_of(&s, "tocsin_gpu_xid_errors_total", "1", "xid=\"79\"") == 3);
    toc_nvml_free(&n);
    recording_fini(&s);
}

static void a_lost_gpu_says_so_and_ends_its_series(void **state) {
    struct fake_nvml *fake = *state;
    struct recording_sink s;
    recording_init(&s);
    struct toc_nvml *n = make(g_library);
    assert_int_equal(collect(n, &s, 1000), 0);
    fake->is_lost[0] = 1;
    assert_int_equal(collect(n, &s, 2000), 0);
    assert_true(value_of(&s, "tocsin_gpu_lost", "0", "") == 1);
    assert_true(value_of(&s, "tocsin_gpu_lost", "1", "") == 0);
    assert_true(toc_is_stale_nan(value_of(&s, "DCGM_FI_DEV_GPU_UTIL", "0", "")));
    fake->is_lost[0] = 0;
    assert_int_equal(collect(n, &s, 3000), 0);
    assert_true(value_of(&s, "tocsin_gpu_lost", "0", "") == 0);
    assert_true(value_of(&s, "DCGM_FI_DEV_GPU_UTIL", "0", "") == 87);
    toc_nvml_free(&n);
    recording_fini(&s);
}

static void a_driver_that_comes_later_is_found(void **state) {
    struct fake_nvml *fake = *state;
    struct recording_sink s;
    recording_init(&s);
    struct toc_nvml *n = make(g_library);
    fake->init_result = 9;
    assert_int_equal(collect(n, &s, 1000), 0);
    fake->init_result = 0;
    assert_int_equal(collect(n, &s, 2000), 0);
    assert_int_equal(s.writes, 0);
    assert_int_equal(collect(n, &s, 61001), 0);
    assert_int_equal(s.writes, 1);
    toc_nvml_free(&n);
    assert_int_equal(fake->shutdowns, 1);
    recording_fini(&s);
}

/* The library stays loaded for the program's life, so that each test steers the same object. */
static struct toc_dynlib *g_handle;

static int reset_fake(void **state) {
    struct fake_nvml *fake = toc_dynlib_symbol(g_handle, "fake_nvml");
    assert_non_null(fake);
    *fake = (struct fake_nvml){.count = 2};
    *state = fake;
    return 0;
}

int main(int argc, char **argv) {
    g_library = argc > 1 ? argv[1] : "fake-nvml.so";
    if (toc_dynlib_open(g_library, &g_handle)) {
        fprintf(stderr, "cannot load %s\n", g_library);
        return 1;
    }
#define T(name) cmocka_unit_test_setup(name, reset_fake)
    const struct CMUnitTest tests[] = {
        T(an_absent_library_is_no_error),      T(metrics_carry_dcgm_names_and_labels),
        T(xids_are_counted_each_time),         T(a_lost_gpu_says_so_and_ends_its_series),
        T(a_driver_that_comes_later_is_found),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    toc_dynlib_close(&g_handle);
    return failed;
}
