/* `tocsin db …`: work on a data directory. Each subcommand has a file of its own. */
#ifndef TOC_APP_DB_COMMAND_H
#define TOC_APP_DB_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern const char toc_db_usage[];
int toc_db_command(int argc, char **argv);

/* Subcommands: argv[0] is their name. Exit codes of app/command.h. */
int toc_db_backup(int argc, char **argv);
int toc_db_restore(int argc, char **argv);
int toc_db_import_prometheus(int argc, char **argv);
int toc_db_export_prometheus(int argc, char **argv);
int toc_db_import(int argc, char **argv);
int toc_db_export(int argc, char **argv);

/* Retention for commands that must not delete: a hundred years. */
#define TOC_DB_KEEP_ALL_MS ((int64_t)100 * 366 * 86400000)

struct toc_statedb;
/* DIR/state.db, with a message on standard error when it cannot be opened. */
int toc_db_open_state(const char *dir, struct toc_statedb **out);
/* "backup/" is "backup"; to be freed with toc_free. */
char *toc_db_without_slashes(const char *path);
/* Where the time series of a data directory are: DIR/metrics, or DIR itself when it is a snapshot.
 */
void toc_db_metrics_dir(const char *dir, char *out, size_t out_size);

#endif
