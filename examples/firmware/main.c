/* Classifies what the camera sees until no more rows come. Prints a line an image, then what stack it needed. */
#include "camera.h"
#include "counter.h"
#include "digits.h"
#include "mnet_board.h"

#define WIDTH DIGITS_INPUT_IMAGE_WIDTH
#define HEIGHT DIGITS_INPUT_IMAGE_HEIGHT
#define CLASSES DIGITS_OUTPUT_LOGITS_ELEMENTS
#define PAINT 0xC5C5C5C5u

extern uint32_t mnet_stack_limit[], mnet_stack_top[]; /* of the linker script */

static digits_arena arena;
static digits_context context;
static uint8_t pixels[WIDTH]; /* a row of the camera: the frame is nowhere in memory */
static float logits[CLASSES];

static void print_number(const char *before, uint64_t number, const char *behind)
{
    char text[21];
    int32_t at = 20;
    text[at] = '\0';
    do {
        text[--at] = (char)('0' + (int32_t)(number % 10u));
        number /= 10u;
    } while (number != 0u);
    mnet_print(before);
    mnet_print(text + at);
    mnet_print(behind);
}

static void paint_stack(void)
{
    uint32_t *here = (uint32_t *)__builtin_frame_address(0);
    volatile uint32_t *at;
    for (at = mnet_stack_limit; at < here - 64; at++) {
        *at = PAINT;
    }
}

static uint32_t used_stack(void)
{
    const uint32_t *at = mnet_stack_limit;
    while (at < mnet_stack_top && *at == PAINT) {
        at++;
    }
    return (uint32_t)((const uint8_t *)mnet_stack_top - (const uint8_t *)at);
}

/* Feeds an image as it comes, and adds up the ticks that the network takes. DIGITS_ROWS where the camera has no more. */
static int32_t classify(uint64_t *ticks)
{
    int32_t row, status = digits_start_rows(&context, logits);
    *ticks = 0u;
    for (row = 0; row < HEIGHT && status >= 0; row++) {
        uint64_t begin;
        if (!camera_row(pixels, WIDTH)) {
            return DIGITS_ROWS;
        }
        begin = counter_now();
        status = digits_feed_rows(&context, pixels, 1);
        *ticks += counter_now() - begin;
    }
    return status;
}

int32_t mnet_main(void)
{
    int32_t status = digits_init(&context, &arena, sizeof arena);
    paint_stack();
    if (status != DIGITS_OK || !camera_start()) {
        mnet_print("no camera, or no memory for the network\n");
        return 1;
    }
    counter_start();
    for (;;) {
        uint64_t ticks;
        int32_t i, best = 0;
        status = classify(&ticks);
        if (status == DIGITS_ROWS) {
            break;
        }
        if (status != DIGITS_OK) {
            mnet_print("the network returned an error\n");
            return 1;
        }
        for (i = 1; i < CLASSES; i++) {
            best = logits[i] > logits[best] ? i : best;
        }
        mnet_print("class ");
        mnet_print(digits_logits_labels[best]);
        print_number(" ticks ", ticks, "\n");
    }
    print_number("stack ", used_stack(), "\n");
    return 0;
}
