/*
 * Why answers differ: the same runs refitted under every combination of the choices that studies make without saying
 * so. One row a combination; those that differ from the usual choice in one thing say which thing moves the answer.
 */
#ifndef PLM_LAW_WHY_H
#define PLM_LAW_WHY_H

#include <jansson.h>

#include "law/plateau.h"
#include "law/study_points.h"

#define PLM_WHY_SCHEMA "plmscale.why/1"

/* What is chosen. */
enum plm_why_choice {
  PLM_WHY_ESTIMATOR, /* index into plm_estimators */
  PLM_WHY_COUNT,     /* enum plm_points_count */
  PLM_WHY_FLOPS,     /* enum plm_points_flops */
  PLM_WHY_SPLIT,     /* 0 validation loss, 1 training loss */
  PLM_WHY_POSITIONS, /* 0 <mask> positions, 1 all selected ones */
  PLM_WHY_LARGEST,   /* 0 with the largest budget, 1 without */
  PLM_WHY_SEED,      /* 0 all seeds, k the k-th */
  PLM_WHY_CHOICES
};

struct plm_why_row {
  unsigned choice[PLM_WHY_CHOICES];
  int single; /* the one choice that differs from the usual; -1: none (the usual row), -2: several */
  int fitted; /* else reason */
  char reason[PLM_REASON_TEXT];
  int has_exponents;
  double a;
  struct plm_interval a_interval; /* of the usual row and of single ones */
  double params;                  /* N_opt at the budget asked for, NAN when the fit says nothing there */
  double moved;                   /* log10 of params over the usual row's, NAN when either is not known */
};

struct plm_why {
  char *source;
  double compute;  /* where N_opt is compared */
  uint64_t *seeds; /* ascending */
  size_t seed_count;
  struct plm_why_row *rows; /* the usual one first, then single ones by how far they move, then the others */
  size_t row_count, single_count;
  struct plm_plateau plateau;
  size_t fitted;                               /* rows with an N_opt */
  double params_min, params_max, a_min, a_max; /* over them */
};

struct plm_why_options {
  double at;    /* 0: the largest budget */
  size_t draws; /* of the usual row and of single ones */
  unsigned threads;
};

/* PLM_E_UNSUPPORTED when no run is done. *out is owned by the caller. */
int plm_why_fit(struct plm_why **out, const struct plm_study_runs *runs, const char *source,
                const struct plm_why_options *options, struct plm_error *err);
void plm_why_destroy(struct plm_why *why); /* takes NULL */

/* "estimator", "N", "C", .. and what a row chose: "huber", "with the head", .. out has size bytes. */
const char *plm_why_choice_name(enum plm_why_choice choice);
void plm_why_chosen(char *out, size_t size, const struct plm_why *why, const struct plm_why_row *row,
                    enum plm_why_choice choice);

/* Schema plmscale.why/1, a new reference; NULL when out of memory. */
json_t *plm_why_json(const struct plm_why *why);

#endif
