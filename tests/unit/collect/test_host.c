#include "recording_sink.h"

#include "collect/host.h"
#include "sys/env.h"

/* A small machine in a folder: what the collector must make of it is known to the last digit. */
struct fixture {
    char root[128];
    struct toc_vfs *vfs;
    struct recording_sink sink;
    struct toc_host *host;
    int64_t now_ms;
};

static void put_file(struct fixture *f, const char *path, const char *text) {
    char full[512], dir[512];
    struct toc_file *file;
    snprintf(full, sizeof full, "%s%s", f->root, path);
    snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(full, '/') - full), full);
    assert_int_equal(toc_vfs_make_dirs(f->vfs, dir), 0);
    assert_int_equal(
        toc_file_open(f->vfs, full, TOC_OPEN_WRITE | TOC_OPEN_CREATE | TOC_OPEN_TRUNCATE, &file),
        0);
    assert_int_equal(f->vfs->append(f->vfs, file, text, strlen(text)), (int64_t)strlen(text));
    toc_file_close(f->vfs, &file);
}

static int setup(void **state) {
    struct fixture *f = TOC_NEW(struct fixture);
    f->vfs = toc_vfs_system();
    snprintf(f->root, sizeof f->root, "/tmp/toc-host-%lld", (long long)toc_process_id());
    put_file(f, "/proc/stat",
             "cpu  10 0 0 0 0 0 0 0 0 0\ncpu0 100 2 30 4000 5 6 7 8 9 10\ncpu7 1 0 0 50\n"
             "intr 448315 1 2 3\nctxt 847795\nbtime 1795516696\nprocesses 11726\nprocs_running 3\n"
             "procs_blocked 1\nsoftirq 1 2 3\n");
    put_file(f, "/proc/loadavg", "0.50 1.25 2.00 1/94 1234\n");
    put_file(f, "/proc/meminfo",
             "MemTotal:       2048 kB\nActive(anon):      3 kB\n"
             "HugePages_Free:        7\nOdd-Name:   1 kB\n");
    put_file(f, "/proc/vmstat",
             "nr_free_pages 5\npgfault 12\npgmajfault 3\noom_kill 1\npgpgin 9\n"
             "pswpin 2\npgscan_direct 8\n");
    put_file(f, "/proc/pressure/cpu",
             "some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\n"
             "full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n");
    put_file(f, "/proc/diskstats",
             "   8       0 sda 1 2 3 4 5 6 7 8 9 10 11\n   8       1 sda1 1 1 1 1 1 1 1 1 1 1 1\n"
             " 259       0 nvme0n1 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n"
             " 259       1 nvme0n1p1 1 1 1 1 1 1 1 1 1 1 1\n   7 0 loop0 0 0 0 0 0 0 0 0 0 0 0\n");
    put_file(f, "/run/udev/data/b8:0",
             "E:ID_MODEL=DISK_X\nE:ID_SERIAL_SHORT=S1\nE:ID_FS_TYPE=ext4\n"
             "E:ID_ATA=1\nE:ID_ATA_ROTATION_RATE_RPM=7200\nS:disk\n");
    put_file(f, "/proc/net/dev",
             "Inter-|   Receive\n face |bytes\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n"
             "  eth0:284195101 6354 1 2 3 4 5 6 251717 3308 7 8 9 10 11 12\n");
    put_file(f, "/sys/class/net/eth0/statistics/rx_nohandler", "77\n");
    put_file(f, "/proc/1/mounts",
             "/dev/root / ext4 ro,relatime 0 0\nproc /proc proc rw 0 0\n"
             "x /gone\\040away ext4 rw 0 0\nsrv:/x / nfs4 rw 0 0\n");
    put_file(f, "/proc/self/cgroup", "0::/job.slice\n");
    put_file(f, "/sys/fs/cgroup/job.slice/memory.current", "1048576\n");
    put_file(f, "/sys/fs/cgroup/job.slice/memory.max", "max\n");
    put_file(f, "/sys/fs/cgroup/job.slice/memory.events", "low 0\noom_kill 2\n");
    put_file(f, "/sys/fs/cgroup/job.slice/cpu.stat", "usage_usec 1500000\nnr_throttled 4\n");
    put_file(f, "/proc/42/stat", "42 (a) b) S 1 42 42 0 -1 1 2 3 4 5 6 7 8 9 20 0 3 0 99\n");
    recording_init(&f->sink);
    f->host = toc_host_new(&(struct toc_host_options){.root = f->root, .instance = "i"});
    f->now_ms = 1000;
    *state = f;
    return 0;
}

static void remove_tree(struct toc_vfs *vfs, const char *path);
struct removal {
    struct toc_vfs *vfs;
    const char *dir;
};
static int remove_child(void *ctx, const char *name) {
    struct removal *r = ctx;
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", r->dir, name);
    remove_tree(r->vfs, path);
    return 0;
}
static void remove_tree(struct toc_vfs *vfs, const char *path) {
    struct toc_file_info info;
    struct removal r = {vfs, path};
    if (vfs->info(vfs, path, &info) == 0 && info.is_dir)
        vfs->list(vfs, path, remove_child, &r);
    vfs->remove(vfs, path);
}

static int teardown(void **state) {
    struct fixture *f = *state;
    toc_host_free(&f->host);
    recording_fini(&f->sink);
    remove_tree(f->vfs, f->root);
    toc_free(f);
    return 0;
}

static void collect(struct fixture *f) {
    struct toc_err err = {0};
    recording_clear(&f->sink);
    assert_int_equal(
        toc_host_collect(f->host, (struct toc_ts){f->now_ms += 1000}, &f->sink.base, &err), 0);
}

#define I "instance=\"i\", job=\"node\""

static void known_files_give_known_series(void **state) {
    struct fixture *f = *state;
    collect(f);
    const struct recording_sink *s = &f->sink;
    assert_recorded(s, "node_cpu_seconds_total{cpu=\"0\", " I ", mode=\"user\"}", 1.0);
    assert_recorded(s, "node_cpu_seconds_total{cpu=\"0\", " I ", mode=\"steal\"}", 0.08);
    assert_recorded(s, "node_cpu_guest_seconds_total{cpu=\"0\", " I ", mode=\"nice\"}", 0.1);
    assert_recorded(s, "node_cpu_seconds_total{cpu=\"7\", " I ", mode=\"idle\"}", 0.5);
    assert_recorded(s, "node_intr_total{" I "}", 448315);
    assert_recorded(s, "node_boot_time_seconds{" I "}", 1795516696);
    assert_recorded(s, "node_load5{" I "}", 1.25);
    assert_recorded(s, "node_memory_MemTotal_bytes{" I "}", 2048 * 1024);
    assert_recorded(s, "node_memory_Active_anon_bytes{" I "}", 3072);
    assert_recorded(s, "node_memory_HugePages_Free{" I "}", 7);
    assert_recorded(s, "node_vmstat_pgmajfault{" I "}", 3);
    assert_recorded(s, "node_vmstat_oom_kill{" I "}", 1);
    assert_null(recorded_last(s, "node_vmstat_pgscan_direct{" I "}"));
    assert_recorded(s, "node_pressure_cpu_waiting_seconds_total{" I "}", 2.5);
    assert_recorded(s, "node_disk_read_bytes_total{device=\"sda\", " I "}", 3 * 512);
    assert_recorded(s, "node_disk_flush_requests_total{device=\"nvme0n1\", " I "}", 16);
    assert_null(recorded_last(s, "node_disk_flush_requests_total{device=\"sda\", " I "}"));
    assert_null(recorded_last(s, "node_disk_io_now{device=\"sda1\", " I "}"));
    assert_null(recorded_last(s, "node_disk_io_now{device=\"nvme0n1p1\", " I "}"));
    assert_null(recorded_last(s, "node_disk_io_now{device=\"loop0\", " I "}"));
    assert_recorded(s,
                    "node_disk_info{device=\"sda\", " I
                    ", major=\"8\", minor=\"0\", model=\"DISK_X\", serial=\"S1\"}",
                    1);
    assert_recorded(s, "node_disk_filesystem_info{device=\"sda\", " I ", type=\"ext4\"}", 1);
    assert_recorded(s, "node_disk_ata_rotation_rate_rpm{device=\"sda\", " I "}", 7200);
    assert_recorded(s, "node_network_receive_bytes_total{device=\"eth0\", " I "}", 284195101);
    assert_recorded(s, "node_network_transmit_colls_total{device=\"eth0\", " I "}", 10);
    assert_recorded(s, "node_network_receive_nohandler_total{device=\"eth0\", " I "}", 77);
    assert_null(recorded_last(s, "node_network_receive_bytes_total{device=\"lo\", " I "}"));
    assert_recorded(s,
                    "node_filesystem_readonly{device=\"/dev/root\", fstype=\"ext4\", " I
                    ", mountpoint=\"/\"}",
                    1);
    assert_recorded(s,
                    "node_filesystem_device_error{device=\"x\", fstype=\"ext4\", " I
                    ", mountpoint=\"/gone away\"}",
                    1);
    assert_recorded(s,
                    "node_filesystem_device_error{device=\"srv:/x\", fstype=\"nfs4\", " I
                    ", mountpoint=\"/\"}",
                    0);
    assert_recorded(s, "tocsin_cgroup_memory_max_bytes{" I "}", INFINITY);
    assert_recorded(s, "tocsin_cgroup_memory_events_total{event=\"oom_kill\", " I "}", 2);
    assert_recorded(s, "tocsin_cgroup_cpu_usage_seconds_total{" I "}", 1.5);
    assert_recorded(s, "node_processes_threads{" I "}", 3);
    assert_recorded(s, "node_processes_state{" I ", state=\"S\"}", 1);
    assert_recorded(s, "node_scrape_collector_success{collector=\"sockstat\", " I "}", 0);
}

static void counters_never_step_back(void **state) {
    struct fixture *f = *state;
    collect(f);
    put_file(f, "/proc/stat", "cpu  0\ncpu0 100 2 30 3990 4 6 7 8 9 10\n");
    collect(f);
    assert_recorded(&f->sink, "node_cpu_seconds_total{cpu=\"0\", " I ", mode=\"idle\"}", 40);
    put_file(f, "/proc/stat",
             "cpu  0\ncpu0 1 0 0 20 0 0 0 0 0 0\n"); /* hotplug: idle fell by 40 s */
    collect(f);
    assert_recorded(&f->sink, "node_cpu_seconds_total{cpu=\"0\", " I ", mode=\"idle\"}", 0.2);
}

static void a_device_that_leaves_ends_its_series(void **state) {
    struct fixture *f = *state;
    collect(f);
    put_file(f, "/proc/net/dev", "x\n");
    collect(f);
    const struct recorded *r =
        recorded_last(&f->sink, "node_network_receive_bytes_total{device=\"eth0\", " I "}");
    assert_non_null(r);
    assert_true(toc_is_stale_nan(r->value));
    /* parts that did not run in this cycle go on */
    assert_null(recorded_last(&f->sink, "node_processes_threads{" I "}"));
    collect(f);
    assert_null(
        recorded_last(&f->sink, "node_network_receive_bytes_total{device=\"eth0\", " I "}"));
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(known_files_give_known_series),
        T(counters_never_step_back),
        T(a_device_that_leaves_ends_its_series),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
