/* A clock for measuring: SysTick, which every Cortex-M of this example has. */
#ifndef COUNTER_H
#define COUNTER_H

#include <stdint.h>

void counter_start(void);

/* Ticks of the processor clock since `counter_start`; right where it is asked at least every 16 million ticks. */
uint64_t counter_now(void);

#endif
