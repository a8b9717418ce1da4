/*
 * Which of several implementations an op takes: the backend's side of plmscale/kernels.h. A family of ops with a choice
 * tells its implementations through struct ocl_family_choices and asks ocl_chosen when it runs an op or sizes its
 * workspace. What was chosen is the profile's word, else the family's own rule.
 *
 * A choice holds for a kind, its flags and fixed extents, and a class of row counts: up to 256, 1024, 4096, and so on by
 * fours (ocl_class_rows). The rows that a class is chosen by are the op's extents, never what a batch happens to hold
 * beyond them, so the same shapes take the same kernels.
 */
#ifndef PLM_OCL_CHOICES_H
#define PLM_OCL_CHOICES_H

#include "opencl.h"
#include "plmscale/kernels.h"

struct ocl_family_choices {
  /* How many, by the device and the user's options; 0: none of those asked for. Names differ from each other and mean the same in every version of the backend. */
  uint32_t (*count)(const struct plm_device *device, const struct plm_op *op);
  void (*name)(const struct plm_device *device, const struct plm_op *op, uint32_t which, char out[PLM_KERNELS_NAME]);
  /* The rule without a profile: documented, by policy, fixed extents and class of rows alone. */
  uint32_t (*standard)(const struct plm_device *device, const struct plm_op *op);
};

/* The implementation that op takes now, below count. */
uint32_t ocl_chosen(const struct plm_device *device, const struct plm_op *op);

/* The largest row count in the class of rows. */
uint64_t ocl_class_rows(uint64_t rows);

/*
 * Workspace for op at its extents and all smaller row counts, whose classes may have chosen otherwise: the largest of
 * bytes(device, op with the largest rows of each class, which).
 */
uint64_t ocl_choices_workspace(const struct plm_device *device, const struct plm_op *op,
                               uint64_t (*bytes)(const struct plm_device *device, const struct plm_op *op,
                                                 uint32_t which));

/*
 * Called once when a device is opened: reads the profile that option kernel_profile names, else the first of the user's own
 * place and the folder beside the plugin that is meant for this device. A file that the user named must be there and whole;
 * one that was found and is damaged is said in the log and ignored, as is one for another driver, library or kernels.
 */
int ocl_choices_open(struct plm_device *device, struct plm_error *err);
void ocl_choices_close(struct plm_device *device);

extern const struct plm_kernels_extension ocl_kernels_extension;

/* The families (ocl_linear.c, ocl_attention.c). */
extern const struct ocl_family_choices ocl_linear_choices;
extern const struct ocl_family_choices ocl_attention_choices;

/* ------------------------------------------------------------------ between ocl_choices.c and ocl_choices_file.c */

#define OCL_CHOICE_EXTENTS 3

struct ocl_choice_key {
  uint32_t kind, flags;
  uint32_t extent[OCL_CHOICE_EXTENTS]; /* in, out; or heads, head_size, length_max */
  uint64_t rows;                       /* ocl_class_rows */
};

struct ocl_choice {
  struct ocl_choice_key key;
  char name[PLM_KERNELS_NAME];
  uint32_t which;
  int resolved;   /* which is known: name was looked up */
  int keep;       /* to be saved */
  double seconds; /* as measured, 0: not */
};

struct ocl_choices {
  struct ocl_choice *items;
  uint32_t count, room;
  char source[4096]; /* "default" or the profile's path */
  char saved[4096];  /* where save wrote last */
};

struct ocl_choice_key ocl_choice_key(const struct plm_op *op);
struct ocl_choice *ocl_choices_find(const struct ocl_choices *choices, const struct ocl_choice_key *key);
/* A new one; pointers to others end. NULL: *err is filled. */
struct ocl_choice *ocl_choices_add(struct plm_device *device, const struct ocl_choice_key *key, struct plm_error *err);
int ocl_choices_load(struct plm_device *device, struct plm_error *err);
int ocl_choices_save(struct plm_device *device, const char *path, const char **used, struct plm_error *err);

#endif
