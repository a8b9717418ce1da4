/* The tests of the three files that make up test_reference. */
#ifndef PLM_TESTS_REFERENCE_TESTS_H
#define PLM_TESTS_REFERENCE_TESTS_H

void test_reference__one_key_returns_its_value(void **state);
void test_reference__equal_keys_average_the_values(void **state);
void test_reference__causal_first_row_sees_itself_only(void **state);
void test_reference__rotary_keeps_norms_and_inverts(void **state);
void test_reference__rotary_scores_depend_on_distance_only(void **state);
void test_reference__fused_rotary_is_rotary_then_attention(void **state);
void test_reference__sequences_do_not_see_each_other(void **state);
void test_reference__attention_grad_matches_differences(void **state);

void test_reference__ids_out_of_range_are_refused(void **state);
void test_reference__offsets_that_do_not_fit_are_refused(void **state);
void test_reference__rows_must_ascend(void **state);
void test_reference__views_must_fit(void **state);
void test_reference__overlap_is_refused_but_in_place_is_not(void **state);
void test_reference__verdicts_name_the_attribute(void **state);
void test_reference__short_op_is_refused(void **state);
void test_reference__refused_op_writes_nothing(void **state);
void test_reference__every_kind_refuses_unbound_views(void **state);

#endif
