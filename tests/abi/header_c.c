#include <plmscale/backend.h>
