#include "study/quote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_MAX 60

const char *plm_quote(char out[PLM_QUOTE_TEXT], const char *text) {
  size_t length = strlen(text);
  if (length <= SHOWN_MAX) {
    snprintf(out, PLM_QUOTE_TEXT, "\"%s\"", text);
    return out;
  }
  length = SHOWN_MAX;
  while (length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80)
    length--;
  snprintf(out, PLM_QUOTE_TEXT, "\"%.*s...\"", (int)length, text);
  return out;
}

const char *plm_quote_number(char out[PLM_NUMBER_TEXT], double value) {
  for (int digits = 6; digits <= 17; digits++) {
    snprintf(out, PLM_NUMBER_TEXT, "%.*g", digits, value);
    if (strtod(out, NULL) == value)
      break;
  }
  char *exponent = strchr(out, 'e');
  if (!exponent)
    return out;
  char *digits = exponent + (exponent[1] == '+' || exponent[1] == '-' ? 2 : 1);
  char *to = exponent[1] == '-' ? exponent + 2 : exponent + 1;
  while (*digits == '0' && digits[1])
    digits++;
  memmove(to, digits, strlen(digits) + 1);
  return out;
}
