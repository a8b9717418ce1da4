/* What the opencl backend makes of OpenCL's error codes. No driver and no ICD loader is needed here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "opencl.h"

static void test_opencl_errors__every_code_of_the_standard_has_its_name(void **state) {
  (void)state;
  for (cl_int code = 0; code >= -19; code--)
    assert_int_equal(strncmp(ocl_code_name(code), "CL_", 3), 0);
  for (cl_int code = -30; code >= -68; code--)
    assert_int_equal(strncmp(ocl_code_name(code), "CL_", 3), 0);
  assert_string_equal(ocl_code_name(CL_OUT_OF_RESOURCES), "CL_OUT_OF_RESOURCES");
  assert_string_equal(ocl_code_name(-1001), "CL_PLATFORM_NOT_FOUND_KHR");
  assert_string_equal(ocl_code_name(-12345), "unknown OpenCL code");
}

static void test_opencl_errors__kinds_of_failure_are_told_apart(void **state) {
  (void)state;
  static const struct {
    cl_int code;
    int expected;
  } cases[] = {
      {CL_SUCCESS, PLM_OK},
      {CL_MEM_OBJECT_ALLOCATION_FAILURE, PLM_E_NO_MEMORY},
      {CL_OUT_OF_RESOURCES, PLM_E_NO_MEMORY},
      {CL_OUT_OF_HOST_MEMORY, PLM_E_NO_MEMORY},
      {CL_INVALID_BUFFER_SIZE, PLM_E_NO_MEMORY},
      {CL_BUILD_PROGRAM_FAILURE, PLM_E_BUILD_FAILED},
      {CL_INVALID_BUILD_OPTIONS, PLM_E_BUILD_FAILED},
      {CL_DEVICE_NOT_AVAILABLE, PLM_E_DEVICE_LOST},
      {CL_INVALID_COMMAND_QUEUE, PLM_E_DEVICE_LOST},
      {CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST, PLM_E_DEVICE_LOST},
      {-9999, PLM_E_DEVICE_LOST},
      {CL_DEVICE_NOT_FOUND, PLM_E_UNSUPPORTED},
      {CL_COMPILER_NOT_AVAILABLE, PLM_E_UNSUPPORTED},
      {CL_INVALID_KERNEL_ARGS, PLM_E_INTERNAL},
      {CL_INVALID_WORK_GROUP_SIZE, PLM_E_INTERNAL},
      {-12345, PLM_E_INTERNAL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    if (ocl_code_class(cases[i].code) != cases[i].expected)
      fail_msg("%s: class %d, expected %d", ocl_code_name(cases[i].code), ocl_code_class(cases[i].code),
               cases[i].expected);
}

static void test_opencl_errors__a_message_names_op_kernel_device_and_code(void **state) {
  (void)state;
  const struct plm_device device = {.name = "Some GPU"};
  const struct plm_op op = {.kind = PLM_OP_GELU, .index = 17};
  struct plm_error err = {.struct_size = sizeof err};
  assert_int_equal(ocl_fail(&err, &device, &op, "gelu_forward", CL_OUT_OF_RESOURCES, "launch of %d", 5), PLM_E_NO_MEMORY);
  assert_string_equal(err.text, "gelu (op 17), kernel \"gelu_forward\": launch of 5: CL_OUT_OF_RESOURCES (-5) on device "
                                "\"Some GPU\"");
  assert_int_equal(err.op_kind, PLM_OP_GELU);
  assert_int_equal(err.native_code, CL_OUT_OF_RESOURCES);
  assert_int_equal(ocl_fail(&err, NULL, NULL, NULL, -77777, "clSomething"), PLM_E_INTERNAL);
  assert_string_equal(err.text, "clSomething: unknown OpenCL code (-77777)");
  assert_int_equal(err.op_kind, 0);
}

static void test_opencl_errors__a_long_message_is_cut_not_overrun(void **state) {
  (void)state;
  struct plm_error err = {.struct_size = sizeof err};
  char text[2 * PLM_ERROR_TEXT];
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  ocl_fail(&err, NULL, NULL, NULL, CL_INVALID_VALUE, "%s", text);
  assert_int_equal(strlen(err.text), PLM_ERROR_TEXT - 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_opencl_errors__every_code_of_the_standard_has_its_name),
      cmocka_unit_test(test_opencl_errors__kinds_of_failure_are_told_apart),
      cmocka_unit_test(test_opencl_errors__a_message_names_op_kernel_device_and_code),
      cmocka_unit_test(test_opencl_errors__a_long_message_is_cut_not_overrun),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
