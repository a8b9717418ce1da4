/* What the files of the levels share: tests, and what a test finds in its child process. Inside of core/check. */
#ifndef PLM_CHECK_CHECK_TEST_H
#define PLM_CHECK_CHECK_TEST_H

#include "check/check.h"

/* What must be there before a test runs. */
enum plm_check_need { PLM_NEED_FILE, PLM_NEED_PLUGIN, PLM_NEED_SIDES };

/* A child process at work. */
struct plm_check_rig {
  const struct plm_check_options *options;
  struct plm_plugin *plugin, *reference; /* PLM_NEED_PLUGIN: the tested one; PLM_NEED_SIDES: both; PLM_NEED_FILE: NULL */
  uint32_t device;                       /* of the tested one */
  struct plm_device_info info;
  struct plm_side tested, oracle; /* PLM_NEED_SIDES: open */
};

/* One test or one family of cases. run starts with *out passed and calls plm_check_fail; a text with a pass is a figure. */
struct plm_check_test {
  uint32_t level;
  const char *name;
  uint32_t variants;
  enum plm_check_need need;
  int alone;        /* each variant in a process of its own */
  double patience;  /* factor on the time-out, 0: 1 */
  const char *what; /* in words; a family of cases has labels of its own instead */
  void (*run)(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry);
};

extern const struct plm_check_test plm_check_tests_abi[], plm_check_tests_memory[], plm_check_tests_misuse[],
    plm_check_tests_gradients[], plm_check_tests_training[], plm_check_tests_robust[];
extern const uint32_t plm_check_tests_abi_count, plm_check_tests_memory_count, plm_check_tests_misuse_count,
    plm_check_tests_gradients_count, plm_check_tests_training_count, plm_check_tests_robust_count;

/* The cases of ops (levels 2 and 3) and replayed files, one test for all of them. */
extern const struct plm_check_test plm_check_test_case, plm_check_test_file;

/* Fails *out with "what: error CODE: TEXT" when code is not 0. Returns code. */
int plm_check_must(struct plm_check_outcome *out, int code, const struct plm_error *err, const char *what);

/* Bytes of live allocations of this process. */
uint64_t plm_check_heap(void);

#endif
