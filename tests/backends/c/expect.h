/* What a call gives, against the status that it should; counts in `failures` and tells the line. */
#include <stdio.h>

#define EXPECT(call, status) \
    do { \
        const long found = (long)(call); \
        if (found != (long)(status)) { \
            printf("line %d: %s gives %ld\n", __LINE__, #call, found); \
            failures++; \
        } \
    } while (0)
