/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTMIX_CLI_H
#define BETANET_TESTMIX_CLI_H

#include <stdbool.h>
#include <stdio.h>
#include "grammar.h"
#include "lab.h"

/*
 * The console of the lab: one grammar for the terminal (completion, history), for files and for a
 * UNIX stream socket. Everything runs on the main lcore, one command at a time.
 *
 * On the socket a command is a line. Its answer is what it prints, then one line "OK" or one that
 * starts with "ERROR " and says what is wrong. On a terminal and in files an error is a line that
 * starts with "Error: ".
 */
struct cli {
	struct lab *lab;
	FILE *out; /* where the present command prints */
	bool quit;
	int failed; /* of the present command: 0 or a negative errno */
	struct error err;
	unsigned depth; /* of `load` in files */
};

/* The table of all commands, for the grammar and for `help`. */
extern const struct grammar_row cli_commands[];
extern const size_t cli_command_count;

/* Runs one line with `out`; its error, if any, is in c->err and printed as "Error: …" when
 * `print`. 0 or a negative errno. */
int cli_line(struct cli *c, const char *line, FILE *out, bool print);

/* Runs the lines of a file; stops at the first error, which is named with its line. */
int cli_file(struct cli *c, const char *path, struct error *err);

/* The program without --directory: options behind `--`, EAL's before it. The exit status. */
int cli_main(int argc, char **argv, int own);

/* What `show …` prints: cli_show.c, cli_mix.c. `context` is a struct cli. */
int cli_show_port(void *context, const struct grammar_args *a, struct error *err);
int cli_show_fwd(void *context, const struct grammar_args *a, struct error *err);
int cli_show_config(void *context, const struct grammar_args *a, struct error *err);
int cli_show_rxq(void *context, const struct grammar_args *a, struct error *err);
void cli_print_fwd_config(const struct lab *l, FILE *out);
void cli_print_rxtx(const struct lab *l, FILE *out);
void cli_print_fwd_stats(const struct lab *l, FILE *out);
void cli_print_port_stats(struct lab *l, uint16_t id, FILE *out);

/* cli_mix.c: the pipeline and the traffic. */
int cli_show_mix(void *context, const struct grammar_args *a, struct error *err);
void cli_print_drops(const struct lab *l, FILE *out);
void cli_print_stages(const struct lab *l, FILE *out);
void cli_print_workers(const struct lab *l, FILE *out);

/* cli_traffic.c: what sets up and shows generator, sink and the pipeline's surroundings. */
void cli_print_traffic(const struct lab *l, FILE *out);
int cli_show_traffic(void *context, const struct grammar_args *a, struct error *err);
int cli_wait(void *context, const struct grammar_args *a, struct error *err);
int cli_set_rate(void *context, const struct grammar_args *a, struct error *err);
int cli_set_arrivals(void *context, const struct grammar_args *a, struct error *err);
int cli_set_packets(void *context, const struct grammar_args *a, struct error *err);
int cli_set_share(void *context, const struct grammar_args *a, struct error *err);
int cli_set_delay(void *context, const struct grammar_args *a, struct error *err);
int cli_set_cover(void *context, const struct grammar_args *a, struct error *err);
int cli_set_shaping(void *context, const struct grammar_args *a, struct error *err);

/* Whether somebody wants the program to end: SIGINT, SIGTERM. */
bool cli_interrupted(void);

#endif
