#include "base/hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "base/memory.h"

static void hexadecimal(char *out, const unsigned char *bytes, size_t count) {
  for (size_t i = 0; i < count; i++)
    snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

void plm_hash_text(char out[PLM_HASH_TEXT], const void *data, size_t bytes) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, bytes));
  hexadecimal(out, canonical.digest, 16);
}

uint64_t plm_hash_64(const void *data, size_t bytes) {
  return XXH3_64bits(data, bytes);
}

struct plm_sha256 {
  EVP_MD_CTX *context;
};

int plm_sha256_create(struct plm_sha256 **out, struct plm_error *err) {
  struct plm_sha256 *sha = plm_memory_zeroed(1, sizeof *sha);
  if (!sha)
    return plm_error_memory(err, "hashing");
  sha->context = EVP_MD_CTX_new();
  if (!sha->context || !EVP_DigestInit_ex(sha->context, EVP_sha256(), NULL)) {
    plm_sha256_destroy(sha);
    return plm_error_memory(err, "hashing");
  }
  *out = sha;
  return 0;
}

int plm_sha256_update(struct plm_sha256 *sha, const void *data, size_t bytes, struct plm_error *err) {
  if (!EVP_DigestUpdate(sha->context, data, bytes))
    return plm_error_set(err, PLM_E_INTERNAL, "SHA-256 failed in libcrypto");
  return 0;
}

int plm_sha256_finish(struct plm_sha256 *sha, char out[PLM_SHA256_TEXT], struct plm_error *err) {
  unsigned char digest[32];
  int done = EVP_DigestFinal_ex(sha->context, digest, NULL);
  plm_sha256_destroy(sha);
  if (!done)
    return plm_error_set(err, PLM_E_INTERNAL, "SHA-256 failed in libcrypto");
  hexadecimal(out, digest, 32);
  return 0;
}

void plm_sha256_destroy(struct plm_sha256 *sha) {
  if (!sha)
    return;
  EVP_MD_CTX_free(sha->context);
  free(sha);
}

int plm_sha256_file(char out[PLM_SHA256_TEXT], const char *path, struct plm_error *err) {
  struct plm_sha256 *sha;
  int code = plm_sha256_create(&sha, err);
  if (code)
    return code;
  FILE *file = fopen(path, "rbe");
  if (!file) {
    plm_sha256_destroy(sha);
    return plm_error_set_system(err, errno, "cannot open \"%s\"", path);
  }
  unsigned char block[65536];
  size_t got;
  while (!code && (got = fread(block, 1, sizeof block, file)) > 0)
    code = plm_sha256_update(sha, block, got, err);
  if (!code && ferror(file))
    code = plm_error_set_system(err, errno, "cannot read \"%s\"", path);
  fclose(file);
  if (code) {
    plm_sha256_destroy(sha);
    return code;
  }
  return plm_sha256_finish(sha, out, err);
}
