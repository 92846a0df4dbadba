/* An int8 model under every wrong call, and two contexts whose inferences take turns. */
#include "expect.h"
#include "net.h"

#include <string.h>

#define GUARD 64

static int clean(const uint8_t *memory, size_t arena)
{
    size_t i;
    for (i = 0; i < GUARD; i++) {
        if (memory[i] != 0xA5 || memory[GUARD + arena + i] != 0xA5) {
            return 0;
        }
    }
    return 1;
}

int main(void)
{
    static uint64_t first[NET_ARENA_BYTES / 8 + 32], second[NET_ARENA_BYTES / 8 + 32];
    static uint8_t one[NET_INPUT_IMAGE_BYTES], two[NET_INPUT_IMAGE_BYTES];
    static int8_t a[NET_OUTPUT_LOGITS_ELEMENTS], b[NET_OUTPUT_LOGITS_ELEMENTS];
    static int8_t alone_a[NET_OUTPUT_LOGITS_ELEMENTS], alone_b[NET_OUTPUT_LOGITS_ELEMENTS];
    static net_context x, y;
    uint8_t *arena = (uint8_t *)first + GUARD, *other = (uint8_t *)second + GUARD;
    int failures = 0;
    int32_t more_x = NET_MORE, more_y = NET_MORE;
    size_t i;

    for (i = 0; i < sizeof one; i++) {
        one[i] = (uint8_t)(i * 7u);
        two[i] = (uint8_t)(255u - i * 13u);
    }
    memset(first, 0xA5, sizeof first);
    memset(second, 0xA5, sizeof second);
    EXPECT(net_init(NULL, arena, NET_ARENA_BYTES), NET_ERROR_NULL);
    EXPECT(net_init(&x, NULL, NET_ARENA_BYTES), NET_ERROR_NULL);
    EXPECT(net_init(&x, arena, NET_ARENA_BYTES - 1u), NET_ERROR_ARENA);
    EXPECT(net_init(&x, arena + 1, NET_ARENA_BYTES), NET_ERROR_ALIGNMENT);
    EXPECT(net_init(&x, arena + 2, NET_ARENA_BYTES), NET_ERROR_ALIGNMENT);
    EXPECT(net_run(&x, one, a), NET_ERROR_CONTEXT);
    for (i = 0; i < sizeof first; i++) {
        EXPECT(((uint8_t *)first)[i], 0xA5);
    }

    EXPECT(net_init(&x, arena, NET_ARENA_BYTES), NET_OK);
    EXPECT(net_init(&y, other, NET_ARENA_BYTES), NET_OK);
    EXPECT(net_run(NULL, one, a), NET_ERROR_NULL);
    EXPECT(net_run(&x, NULL, a), NET_ERROR_NULL);
    EXPECT(net_run(&x, one, NULL), NET_ERROR_NULL);
    EXPECT(net_step(&x), NET_ERROR_IDLE);
    EXPECT(net_run(&x, one, alone_a), NET_OK);
    EXPECT(net_run(&y, two, alone_b), NET_OK);
    EXPECT(memcmp(alone_a, alone_b, sizeof a) != 0, 1);

    EXPECT(net_start(&x, one, a), NET_OK);
    EXPECT(net_run(&x, one, a), NET_ERROR_BUSY);
    EXPECT(net_start(&x, one, a), NET_ERROR_BUSY);
    EXPECT(net_step(&x), NET_MORE);
    EXPECT(net_start(&y, two, b), NET_OK);
    while (more_x == NET_MORE || more_y == NET_MORE) {
        if (more_x == NET_MORE) {
            more_x = net_step(&x);
        }
        if (more_y == NET_MORE) {
            more_y = net_step(&y);
        }
    }
    EXPECT(more_x, NET_OK);
    EXPECT(more_y, NET_OK);
    EXPECT(memcmp(a, alone_a, sizeof a), 0);
    EXPECT(memcmp(b, alone_b, sizeof b), 0);
    EXPECT(clean((uint8_t *)first, NET_ARENA_BYTES), 1);
    EXPECT(clean((uint8_t *)second, NET_ARENA_BYTES), 1);
    return failures != 0;
}
