/* How a test steers the fake NVML. */
#ifndef TOC_TESTS_FAKE_NVML_H
#define TOC_TESTS_FAKE_NVML_H

struct fake_nvml {
    unsigned count;
    int init_result;
    int is_lost[2];
    unsigned long long xid; /* next event */
    unsigned xid_gpu, xid_count;
    int registered, shutdowns;
};
extern __attribute__((visibility("default"))) struct fake_nvml fake_nvml;

struct fake_nvml_pci {
    char legacy[16];
    unsigned numbers[5];
    char bus_id[32];
};
struct fake_nvml_event {
    void *device;
    unsigned long long type, data;
    unsigned gpu_instance, compute_instance;
};

#endif
