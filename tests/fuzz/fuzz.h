/* What every fuzzer begins with. libFuzzer calls this once an input; whatever it does beyond returning 0 is a
 * finding. */
#ifndef HEED_FUZZ_H
#define HEED_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
