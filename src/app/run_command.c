#include "app/run_command.h"

#include <stdio.h>

#include "app/command.h"
#include "app/daemon.h"
#include "app/options.h"
#include "sys/process.h"

const char toc_run_usage[] =
    "usage: tocsin run [--config FILE] [--data DIR] [--listen HOST:PORT] [--insecure]\n"
    "\n"
    "Runs the daemon in the foreground: collects from this machine, its GPUs, well-known local "
    "endpoints and\n"
    "./runs, stores, watches, alerts, and serves the UI.\n"
    "\n"
    "  --config FILE       configuration (default: none, safe defaults)\n"
    "  --data DIR          data directory (default ./tocsin-data)\n"
    "  --listen HOST:PORT  address (default 127.0.0.1:9797)\n"
    "  --insecure          allow a public address without TLS\n"
    "\n"
    "SIGHUP reads the configuration again; SIGINT and SIGTERM stop.\n";

static void greet(const struct toc_daemon *d) {
    fprintf(stderr, "Tocsin " TOC_VERSION " is running: %s\n", toc_daemon_url(d));
    if (toc_daemon_made_token(d))
        fprintf(stderr, "The admin token for changing things is in %s\n", toc_daemon_token_path(d));
}

int toc_run_command(int argc, char **argv) {
    struct toc_daemon_options o = {0};
    const struct toc_option options[] = {
        {"config", 'c', TOC_OPTION_STRING, &o.config_path},
        {"data", 0, TOC_OPTION_STRING, &o.data_dir},
        {"listen", 'l', TOC_OPTION_STRING, &o.listen},
        {"insecure", 0, TOC_OPTION_FLAG, &o.insecure},
        {0},
    };
    struct toc_daemon *d = NULL;
    struct toc_err err = {0};
    int rc = toc_options_parse(argc, argv, options, toc_run_usage, NULL);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    toc_signals_init();
    if (toc_daemon_start(&o, &d, &err) < 0) {
        fprintf(stderr, "tocsin: %s\n", err.message);
        return TOC_EXIT_FAILED;
    }
    greet(d);
    for (char signal; (signal = toc_signals_wait_ms(1000)) != 's';)
        if (signal == 'r' && toc_daemon_reload(d, NULL) < 0)
            fprintf(stderr, "tocsin: the former configuration stays in force\n");
    toc_daemon_stop(&d);
    return 0;
}
