/*
 * Points from a table: comma, semicolon or tab between fields (the header line decides), quotes as in RFC 4180 but
 * within one line, lines that start with # and empty lines skipped, LF or CRLF, an UTF-8 byte order mark allowed.
 *
 * Columns by name, in any order and case:
 *   N, params, model_size       model size            required
 *   D, tokens                   tokens processed      required
 *   loss                        nats                  required
 *   C, compute, flops           FLOP                  default 6 N D
 *   budget                      planned compute       default none
 *   weight                      of squared residuals  default 1; a row of weight 0 is left out
 *   unique, unique_tokens       U_D, tokens seen once default not known
 *   seed                        whole number          default 0
 *   label, id, name, model      name of the row       default "line K"
 * Other columns are ignored, and the log says which. Numbers as plm_number_real reads them (8M, 1e17).
 */
#ifndef PLM_LAW_POINTS_CSV_H
#define PLM_LAW_POINTS_CSV_H

#include "law/points.h"

#define PLM_POINTS_CSV_ROWS 100000 /* more rows are refused */

/* Appends the rows of a file to *out. PLM_E_DAMAGED, "FILE:LINE: column ..", for anything wrong in the file; *out then
 * has to be released all the same. */
int plm_points_read_csv(struct plm_points *out, const char *path, struct plm_error *err);

/* A table of models: no loss is needed (it is 1 where there is none), and C may stand for D, which is then C/(6 N). */
int plm_points_read_models(struct plm_points *out, const char *path, struct plm_error *err);

/* As plm_points_read_csv for bytes in memory; name stands for the file in messages. text has bytes bytes and a NUL
 * after them, and is changed. */
int plm_points_parse_csv(struct plm_points *out, const char *name, char *text, size_t bytes, struct plm_error *err);

#endif
