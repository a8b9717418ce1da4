/* Points from the finished runs of a study. */
#ifndef PLM_LAW_STUDY_POINTS_H
#define PLM_LAW_STUDY_POINTS_H

#include "law/points.h"
#include "train/runfile.h"

/* Which of the stored losses is fitted: validation or smoothed training loss, over <mask> positions or over all
 * selected ones. */
enum plm_points_loss { PLM_POINTS_VALID_MASK, PLM_POINTS_VALID_ALL, PLM_POINTS_TRAIN_MASK, PLM_POINTS_TRAIN_ALL };

/* Which count is N. */
enum plm_points_count { PLM_POINTS_LAYERS, PLM_POINTS_HEAD, PLM_POINTS_TOTAL };

/* Which compute is C: 6 N D with the N that was chosen, or the exact count of the run's matrix products with attention.
 */
enum plm_points_flops { PLM_POINTS_6ND, PLM_POINTS_EXACT };

struct plm_points_choice {
  enum plm_points_loss loss;
  enum plm_points_count count;
  enum plm_points_flops flops;
};

/* The finished runs of a study, diverged ones too, and the cells that have none. Init by zeroing. */
struct plm_study_runs {
  struct plm_run *runs;
  size_t count, capacity;
  struct plm_points absent; /* left_out only */
};

/* Reads the study that the INI file ini describes. PLM_E_USAGE for a study file with errors, PLM_E_DAMAGED for a run
 * file that is. *out is to be released either way. */
int plm_study_runs_read(struct plm_study_runs *out, const char *ini, struct plm_error *err);
void plm_study_runs_fini(struct plm_study_runs *runs);

/* As plm_points_from_study, of runs that were read. */
int plm_points_from_runs(struct plm_points *out, const struct plm_study_runs *runs,
                         const struct plm_points_choice *choice, struct plm_error *err);

/*
 * Appends one point for every done run of the study that the INI file ini describes; runs that are not done, diverged
 * or were refused by the plan are left out with that rule. budget is the planned one only where C means what the plan
 * meant (layers, 6ND); otherwise it is 0: runs of one 6ND budget are not of one budget by another count. Each has its
 * learning curve: training loss smoothed over 5 % of the steps to either side, or the evaluations if there are 8.
 * PLM_E_USAGE for a study file with errors, PLM_E_DAMAGED for a run file that is. *out is to be released either way.
 */
int plm_points_from_study(struct plm_points *out, const char *ini, const struct plm_points_choice *choice,
                          struct plm_error *err);

#endif
