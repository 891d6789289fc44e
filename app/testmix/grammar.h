/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTMIX_GRAMMAR_H
#define BETANET_TESTMIX_GRAMMAR_H

#include <cmdline.h>
#include <stddef.h>
#include <stdint.h>
#include "core/error.h"

/*
 * The commands' grammar on librte_cmdline, made from one table. A row's syntax is a line of words:
 *
 *   stop                     this word
 *   on|off                   one of these
 *   <burst:1..512>           a whole number, decimal, from 1 to 512
 *   <ms:0.1..10000>          a number with a fraction: where a limit has a point
 *   <port>                   a port that exists; <port|all>: or "all"
 *   <file:>                  any word
 *   [io|mac]                 may be left out; only last
 *
 * Completion, matching and help of the tokens are librte_cmdline's. A line that nothing matches
 * comes to a row of its own, whose message says which word is wrong and what is allowed there.
 */
enum { GRAMMAR_WORDS = 8, GRAMMAR_WORD_MAX = 128, GRAMMAR_PORT_ALL = UINT16_MAX };

/* What a line held, by the position of its words; a word that was left out is "" and 0. */
struct grammar_args {
	char word[GRAMMAR_WORDS][GRAMMAR_WORD_MAX];
	uint64_t number[GRAMMAR_WORDS]; /* numbers; of ports: the id or GRAMMAR_PORT_ALL */
	double real[GRAMMAR_WORDS];
	char line[GRAMMAR_WORDS * GRAMMAR_WORD_MAX]; /* of a line that nothing matches */
};

struct grammar_row {
	const char *syntax, *section, *help;
	/* 0 or a negative errno with `err` set */
	int (*run)(void *context, const struct grammar_args *a, struct error *err);
};

struct grammar;

/*
 * `dispatch` is called with the row of each line that matches, and with NULL for one that does not:
 * then a->line is the line. `rows` must outlive the grammar. 0; -ENOMEM; -EINVAL (a syntax that
 * cannot be read: `err` names it). Only one grammar
 * exists in a process: librte_cmdline's callbacks have no context.
 */
int grammar_create(const struct grammar_row *rows, size_t count,
	void (*dispatch)(const struct grammar_row *row, const struct grammar_args *a),
	struct grammar **out, struct error *err);
void grammar_free(struct grammar *g); /* NULL is fine */

/* For cmdline_stdin_new and cmdline_new. */
cmdline_parse_ctx_t *grammar_context(struct grammar *g);

/* What is wrong with a line that nothing matches: the word, where, and what is allowed. Always
 * -EINVAL. */
int grammar_explain(struct grammar *g, const char *line, struct error *err);

#endif
