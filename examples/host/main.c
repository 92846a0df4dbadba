// Loads a .vmfb that `mnet compile --target iree-cpu` made, runs it once on an
// image of raw bytes, and prints the largest of its first output.
//
//   classify net.vmfb net.main image.raw 1 224 224 3
//
// The function is `main` of the module that the manifest beside it names; so
// is the shape. The input is u8, the output float32. Built against IREE's
// runtime, see CMakeLists.txt.

#include <stdio.h>
#include <stdlib.h>

#include <iree/runtime/api.h>

enum { kMaxRank = 4 };

// Reads exactly `size` bytes of `path`; 0 where that is not what it holds.
static int read_image(const char* path, void* data, size_t size) {
  FILE* file = fopen(path, "rb");
  if (!file) return 0;
  int whole = fread(data, 1, size, file) == size && fgetc(file) == EOF;
  fclose(file);
  return whole;
}

// Prints index and value of the largest element of a float32 view.
static iree_status_t print_largest(iree_hal_buffer_view_t* view) {
  iree_host_size_t count = iree_hal_buffer_view_element_count(view);
  float* values = (float*)malloc(count * sizeof(float));
  if (!values) {
    return iree_make_status(IREE_STATUS_RESOURCE_EXHAUSTED, "no memory");
  }
  // Devices on the CPU share the host's memory: reading maps it.
  iree_status_t status = iree_hal_buffer_map_read(
      iree_hal_buffer_view_buffer(view), 0, values, count * sizeof(float));
  if (iree_status_is_ok(status)) {
    iree_host_size_t best = 0;
    for (iree_host_size_t i = 1; i < count; ++i) {
      if (values[i] > values[best]) best = i;
    }
    printf("%d %f\n", (int)best, values[best]);
  }
  free(values);
  return status;
}

// One call of `function`, which is named with its module: a session may hold
// several networks.
static iree_status_t classify(iree_runtime_session_t* session,
                              const char* function, iree_host_size_t rank,
                              const iree_hal_dim_t* shape, const void* image,
                              iree_host_size_t size) {
  iree_runtime_call_t call;
  IREE_RETURN_IF_ERROR(iree_runtime_call_initialize_by_name(
      session, iree_make_cstring_view(function), &call));
  iree_hal_buffer_view_t* input = NULL;
  // A u8 image is a signless i8 to IREE.
  iree_status_t status = iree_hal_buffer_view_allocate_buffer_copy(
      iree_runtime_session_device(session),
      iree_runtime_session_device_allocator(session), rank, shape,
      IREE_HAL_ELEMENT_TYPE_INT_8, IREE_HAL_ENCODING_TYPE_DENSE_ROW_MAJOR,
      (iree_hal_buffer_params_t){
          .type = IREE_HAL_MEMORY_TYPE_DEVICE_LOCAL,
          .access = IREE_HAL_MEMORY_ACCESS_ALL,
          .usage = IREE_HAL_BUFFER_USAGE_DEFAULT,
      },
      iree_make_const_byte_span(image, size), &input);
  if (iree_status_is_ok(status)) {
    status = iree_runtime_call_inputs_push_back_buffer_view(&call, input);
  }
  iree_hal_buffer_view_release(input);
  if (iree_status_is_ok(status)) status = iree_runtime_call_invoke(&call, 0);
  iree_hal_buffer_view_t* output = NULL;
  if (iree_status_is_ok(status)) {
    status = iree_runtime_call_outputs_pop_front_buffer_view(&call, &output);
  }
  if (iree_status_is_ok(status)) status = print_largest(output);
  iree_hal_buffer_view_release(output);
  iree_runtime_call_deinitialize(&call);
  return status;
}

// A session with the module on one thread; "local-task" takes all cores.
static iree_status_t run(iree_runtime_instance_t* instance, const char* module,
                         const char* function, iree_host_size_t rank,
                         const iree_hal_dim_t* shape, const void* image,
                         iree_host_size_t size) {
  iree_hal_device_t* device = NULL;
  IREE_RETURN_IF_ERROR(iree_runtime_instance_try_create_default_device(
      instance, iree_make_cstring_view("local-sync"), &device));
  iree_runtime_session_options_t options;
  iree_runtime_session_options_initialize(&options);
  iree_runtime_session_t* session = NULL;
  iree_status_t status = iree_runtime_session_create_with_device(
      instance, &options, device,
      iree_runtime_instance_host_allocator(instance), &session);
  iree_hal_device_release(device);
  if (iree_status_is_ok(status)) {
    status =
        iree_runtime_session_append_bytecode_module_from_file(session, module);
  }
  if (iree_status_is_ok(status)) {
    status = classify(session, function, rank, shape, image, size);
  }
  iree_runtime_session_release(session);
  return status;
}

int main(int argc, char** argv) {
  if (argc < 5 || argc > 4 + kMaxRank) {
    fprintf(stderr,
            "usage: classify NAME.vmfb NAME.main IMAGE.raw 1 HEIGHT WIDTH 3\n");
    return 2;
  }
  iree_hal_dim_t shape[kMaxRank];
  iree_host_size_t rank = (iree_host_size_t)(argc - 4), size = 1;
  for (iree_host_size_t i = 0; i < rank; ++i) {
    long length = strtol(argv[4 + i], NULL, 10);
    if (length < 1 || length > 1 << 16) {
      fprintf(stderr, "%s is no size of an image\n", argv[4 + i]);
      return 2;
    }
    shape[i] = (iree_hal_dim_t)length;
    size *= (iree_host_size_t)length;
  }
  unsigned char* image = (unsigned char*)malloc(size);
  if (!image || !read_image(argv[3], image, size)) {
    fprintf(stderr, "%s does not hold %lu bytes\n", argv[3],
            (unsigned long)size);
    free(image);
    return 1;
  }
  iree_runtime_instance_options_t options;
  iree_runtime_instance_options_initialize(&options);
  iree_runtime_instance_options_use_all_available_drivers(&options);
  iree_runtime_instance_t* instance = NULL;
  iree_status_t status = iree_runtime_instance_create(
      &options, iree_allocator_system(), &instance);
  if (iree_status_is_ok(status)) {
    status = run(instance, argv[1], argv[2], rank, shape, image, size);
  }
  iree_runtime_instance_release(instance);
  free(image);
  int failed = !iree_status_is_ok(status);
  if (failed) {
    iree_status_fprint(stderr, status);
    iree_status_ignore(status);
  }
  return failed;
}
