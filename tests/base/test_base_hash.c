/* Digests: published vectors, and values of our own that files hold for ever. */
#include "base_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

#define SHA_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SHA_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define SHA_448_BITS "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
#define SHA_MILLION_A "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"

static void sha(char out[PLM_SHA256_TEXT], const char *text) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_sha256 *context;
  assert_int_equal(plm_sha256_create(&context, &err), 0);
  for (size_t i = 0; i < strlen(text); i++)
    assert_int_equal(plm_sha256_update(context, text + i, 1, &err), 0);
  assert_int_equal(plm_sha256_finish(context, out, &err), 0);
}

/* FIPS 180-4 examples. */
static void test_base_hash__sha256_gives_the_published_values(void **state) {
  (void)state;
  char digest[PLM_SHA256_TEXT];
  sha(digest, "");
  assert_string_equal(digest, SHA_EMPTY);
  sha(digest, "abc");
  assert_string_equal(digest, SHA_ABC);
  sha(digest, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq");
  assert_string_equal(digest, SHA_448_BITS);
}

static void test_base_hash__sha256_of_a_file_is_that_of_its_bytes(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  char digest[PLM_SHA256_TEXT];
  const char *path = base_fixture_path("a");
  char *million = malloc(1000000);
  assert_non_null(million);
  memset(million, 'a', 1000000);
  base_fixture_write(path, million, 1000000);
  free(million);
  assert_int_equal(plm_sha256_file(digest, path, &err), 0);
  assert_string_equal(digest, SHA_MILLION_A);
  base_fixture_write(path, "", 0);
  assert_int_equal(plm_sha256_file(digest, path, &err), 0);
  assert_string_equal(digest, SHA_EMPTY);
}

static void test_base_hash__sha256_of_what_cannot_be_read_is_an_error(void **state) {
  (void)state;
  const char *const paths[] = {base_fixture_path("missing"), base_fixture_folder()};
  for (size_t i = 0; i < 2; i++) {
    struct plm_error err = PLM_ERROR_INIT;
    char digest[PLM_SHA256_TEXT] = "untouched";
    assert_int_equal(plm_sha256_file(digest, paths[i], &err), PLM_E_IO);
    assert_non_null(strstr(err.text, paths[i]));
    assert_string_equal(digest, "untouched");
  }
  plm_sha256_destroy(NULL);
}

/* Values of the XXH3 reference (xxHash 0.8, seed 0). They identify cells and content, so they never change. */
static void test_base_hash__xxh3_gives_the_reference_values(void **state) {
  (void)state;
  char digest[PLM_HASH_TEXT];
  plm_hash_text(digest, "", 0);
  assert_string_equal(digest, "99aa06d3014798d86001c324468d497f");
  assert_true(plm_hash_64("", 0) == 0x2d06800538d394c2ull);
  plm_hash_text(digest, "abc", 3);
  assert_string_equal(digest, "06b05ab6733a618578af5f94892f3950");
  assert_true(plm_hash_64("abc", 3) == 0x78af5f94892f3950ull);
}

/* One digest over all lengths around the algorithm's internal limits. */
static void test_base_hash__xxh3_is_stable_over_all_lengths(void **state) {
  (void)state;
  static unsigned char data[4096];
  char digests[1200][PLM_HASH_TEXT], all[PLM_HASH_TEXT];
  for (size_t i = 0; i < sizeof data; i++)
    data[i] = (unsigned char)(i * 131 + (i >> 8));
  memset(digests, 0, sizeof digests);
  for (size_t i = 0; i < 1200; i++)
    plm_hash_text(digests[i], data, i < 600 ? i : i * 3);
  plm_hash_text(all, digests, sizeof digests);
  assert_string_equal(all, "b11e598c8d9fa8918119a2e68d774b71");
}

static void test_base_hash__one_bit_changes_the_digest(void **state) {
  (void)state;
  unsigned char data[300] = {0};
  char before[PLM_HASH_TEXT], after[PLM_HASH_TEXT];
  plm_hash_text(before, data, sizeof data);
  for (size_t bit = 0; bit < 8 * sizeof data; bit++) {
    data[bit / 8] ^= (unsigned char)(1 << bit % 8);
    plm_hash_text(after, data, sizeof data);
    assert_string_not_equal(before, after);
    data[bit / 8] = 0;
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_base_hash__sha256_gives_the_published_values),
      cmocka_unit_test(test_base_hash__sha256_of_a_file_is_that_of_its_bytes),
      cmocka_unit_test(test_base_hash__sha256_of_what_cannot_be_read_is_an_error),
      cmocka_unit_test(test_base_hash__xxh3_gives_the_reference_values),
      cmocka_unit_test(test_base_hash__xxh3_is_stable_over_all_lengths),
      cmocka_unit_test(test_base_hash__one_bit_changes_the_digest),
  };
  return cmocka_run_group_tests(tests, base_fixture_setup, base_fixture_teardown);
}
