/* Lists of sizes: counts and shapes mixed. Internal to study/; plm_grid_parse is in study.h. */
#ifndef PLM_STUDY_GRID_H
#define PLM_STUDY_GRID_H

#include <stddef.h>

#include "base/error.h"
#include "study/shape.h"

/* A shape as given, or layers = 0 and a layers-only count that plm_shape_for_params turns into one. */
struct plm_size {
  struct plm_shape shape;
  double params;
};

/* "3.5k, 2x32x2, log(1e4,1e6,5)". As plm_grid_parse, and LxDxH is a part too; counts are from 1 to 1e15. */
int plm_grid_parse_sizes(struct plm_size **out, size_t *count, const char *text, struct plm_error *err);

/* The next part of a list between commas outside parentheses, without blanks around, cut out of the text at *cursor, which becomes
 * NULL after the last. PLM_E_USAGE: unbalanced parentheses, an empty part. */
int plm_grid_next_part(char **part, char **cursor, struct plm_error *err);

/* Cuts blanks off both ends of text, in place. Returns where it begins now. */
char *plm_grid_trim(char *text);

/* The first and last value exactly, the rest geometric between them; count >= 2. */
void plm_grid_log_space(double *out, double first, double last, size_t count);

#endif
