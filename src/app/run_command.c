#include "app/run_command.h"

#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "app/daemon.h"
#include "app/job_command.h"
#include "app/options.h"
#include "sys/process.h"

const char toc_run_usage[] =
    "usage: tocsin run [--config FILE] [--data DIR] [--listen HOST:PORT] [--insecure]\n"
    "       tocsin run [--name NAME] [--server URL] -- COMMAND [ARGUMENT...]\n"
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
    "SIGHUP reads the configuration again; SIGINT and SIGTERM stop.\n"
    "\n"
    "With a command: runs it as a training job beside a daemon that is already there. Signals are "
    "passed on, its\n"
    "exit code or signal is told to its run, and is the exit code of this program (128 + signal).\n"
    "\n"
    "  --name NAME         the run (default $TOCSIN_RUN, then the command's name); the job sees it "
    "as TOCSIN_RUN\n"
    "  --server URL        the daemon (default $TOCSIN_URL, then http://127.0.0.1:9797); token: "
    "$TOCSIN_TOKEN\n";

static void greet(const struct toc_daemon *d) {
    fprintf(stderr, "Tocsin " TOC_VERSION " is running: %s\n", toc_daemon_url(d));
    if (toc_daemon_made_token(d))
        fprintf(stderr, "The admin token for changing things is in %s\n", toc_daemon_token_path(d));
}

/* Place of "--", 0 when there is none. */
static int find_dashes(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--") == 0)
            return i;
    return 0;
}

int toc_run_command(int argc, char **argv) {
    int dashes = find_dashes(argc, argv);
    if (dashes)
        return toc_job_command(argc, argv, dashes);
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
