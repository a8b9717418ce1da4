/* Wrong: has no entry function of its own, but depends on a library (lender, which is null.c) that has one. */
int plm_test_borrower(void);
__attribute__((visibility("default"))) int plm_test_borrower(void) { return 1; }
