// The functions that examples/host/main.c calls, by running IREE's own
// iree-run-module (environment: IREE_RUN_MODULE) for each invocation: the
// program can be linked and run where IREE's libraries are not to be had. The
// only function there is is IREE_FUNCTION of the environment.
// Objects count their references as IREE's do, so that a sanitizer finds what
// the program never releases and what it releases twice.

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <iree/runtime/api.h>

struct iree_status_handle_t { char message[512]; };
struct iree_runtime_instance_t { int references; };
struct iree_hal_device_t { int references; char driver[32]; };
struct iree_runtime_session_t {
  iree_runtime_instance_t* instance;
  iree_hal_device_t* device;
  char module[1024];
};
struct iree_hal_buffer_t { size_t size; char* data; };
struct iree_hal_buffer_view_t {
  int references;
  size_t rank;
  iree_hal_dim_t shape[8];
  size_t element_size;
  struct iree_hal_buffer_t buffer;
};
typedef struct {
  iree_runtime_session_t* session;
  iree_hal_buffer_view_t* input;
  iree_hal_buffer_view_t* output;
} call_t;
_Static_assert(sizeof(call_t) <= sizeof(iree_runtime_call_t), "a call holds its parts");

static void* made(size_t size) {
  void* object = calloc(1, size);
  if (!object) abort();
  return object;
}

iree_status_t iree_make_status(int code, const char* message) {
  iree_status_t status = made(sizeof(*status));
  snprintf(status->message, sizeof(status->message), "status %d: %s", code, message);
  return status;
}
int iree_status_is_ok(iree_status_t status) { return status == NULL; }
void iree_status_ignore(iree_status_t status) { free(status); }
void iree_status_fprint(FILE* file, iree_status_t status) { fprintf(file, "%s\n", status->message); }

iree_allocator_t iree_allocator_system(void) { return (iree_allocator_t){NULL}; }
iree_string_view_t iree_make_cstring_view(const char* text) { return (iree_string_view_t){text, strlen(text)}; }
iree_const_byte_span_t iree_make_const_byte_span(const void* data, iree_host_size_t size) {
  return (iree_const_byte_span_t){data, size};
}

void iree_runtime_instance_options_initialize(iree_runtime_instance_options_t* options) {
  memset(options, 0, sizeof(*options));
}
void iree_runtime_instance_options_use_all_available_drivers(iree_runtime_instance_options_t* options) {
  options->opaque[0] = 1;
}
iree_status_t iree_runtime_instance_create(const iree_runtime_instance_options_t* options, iree_allocator_t allocator,
                                           iree_runtime_instance_t** instance) {
  (void)allocator;
  if (!options->opaque[0]) return iree_make_status(3, "no drivers");
  *instance = made(sizeof(**instance));
  (*instance)->references = 1;
  return NULL;
}
void iree_runtime_instance_release(iree_runtime_instance_t* instance) {
  if (instance && --instance->references == 0) free(instance);
}
iree_allocator_t iree_runtime_instance_host_allocator(const iree_runtime_instance_t* instance) {
  (void)instance;
  return iree_allocator_system();
}
iree_status_t iree_runtime_instance_try_create_default_device(iree_runtime_instance_t* instance,
                                                              iree_string_view_t driver, iree_hal_device_t** device) {
  (void)instance;
  *device = made(sizeof(**device));
  (*device)->references = 1;
  snprintf((*device)->driver, sizeof((*device)->driver), "%.*s", (int)driver.size, driver.data);
  return NULL;
}
void iree_hal_device_release(iree_hal_device_t* device) {
  if (device && --device->references == 0) free(device);
}

void iree_runtime_session_options_initialize(iree_runtime_session_options_t* options) {
  memset(options, 0, sizeof(*options));
}
iree_status_t iree_runtime_session_create_with_device(iree_runtime_instance_t* instance,
                                                      const iree_runtime_session_options_t* options,
                                                      iree_hal_device_t* device, iree_allocator_t allocator,
                                                      iree_runtime_session_t** session) {
  (void)options, (void)allocator;
  *session = made(sizeof(**session));
  (*session)->instance = instance;
  (*session)->device = device;
  ++instance->references, ++device->references;
  return NULL;
}
void iree_runtime_session_release(iree_runtime_session_t* session) {
  if (!session) return;
  iree_hal_device_release(session->device);
  iree_runtime_instance_release(session->instance);
  free(session);
}
iree_hal_device_t* iree_runtime_session_device(const iree_runtime_session_t* session) { return session->device; }
iree_hal_allocator_t* iree_runtime_session_device_allocator(const iree_runtime_session_t* session) {
  (void)session;
  return NULL;
}
iree_status_t iree_runtime_session_append_bytecode_module_from_file(iree_runtime_session_t* session, const char* path) {
  if (access(path, R_OK)) return iree_make_status(5, "the module cannot be read");
  snprintf(session->module, sizeof(session->module), "%s", path);
  return NULL;
}

iree_status_t iree_runtime_call_initialize_by_name(iree_runtime_session_t* session, iree_string_view_t name,
                                                   iree_runtime_call_t* call) {
  if (!session->module[0] || strcmp(name.data, getenv("IREE_FUNCTION"))) return iree_make_status(5, "no such function");
  *(call_t*)call = (call_t){session, NULL, NULL};
  return NULL;
}
void iree_runtime_call_deinitialize(iree_runtime_call_t* call) {
  iree_hal_buffer_view_release(((call_t*)call)->input);
  iree_hal_buffer_view_release(((call_t*)call)->output);
}
iree_status_t iree_runtime_call_inputs_push_back_buffer_view(iree_runtime_call_t* call, iree_hal_buffer_view_t* view) {
  ++view->references;
  ((call_t*)call)->input = view;
  return NULL;
}

static iree_hal_buffer_view_t* view_of(const void* data, size_t size, size_t element_size) {
  iree_hal_buffer_view_t* view = made(sizeof(*view));
  view->references = 1;
  view->element_size = element_size;
  view->buffer = (struct iree_hal_buffer_t){size, made(size)};
  memcpy(view->buffer.data, data, size);
  return view;
}

// The float32 numbers of a file as a view; NULL where there are none.
static iree_hal_buffer_view_t* read_output(const char* path) {
  static char bytes[1 << 20];
  FILE* file = fopen(path, "rb");
  if (!file) return NULL;
  size_t size = fread(bytes, 1, sizeof(bytes), file);
  fclose(file);
  return size ? view_of(bytes, size, sizeof(float)) : NULL;
}

iree_status_t iree_runtime_call_invoke(iree_runtime_call_t* given, uint32_t flags) {
  (void)flags;
  call_t* call = (call_t*)given;
  const iree_hal_buffer_view_t* view = call->input;
  char folder[] = "/tmp/classify-XXXXXX", input[64], output[64], shape[128] = "", command[4096];
  if (!mkdtemp(folder)) return iree_make_status(13, "no temporary folder");
  snprintf(input, sizeof(input), "%s/input.bin", folder);
  snprintf(output, sizeof(output), "%s/output.bin", folder);
  for (size_t i = 0; i < view->rank; ++i) {
    snprintf(shape + strlen(shape), sizeof(shape) - strlen(shape), "%llux", (unsigned long long)view->shape[i]);
  }
  FILE* file = fopen(input, "wb");
  if (!file || fwrite(view->buffer.data, 1, view->buffer.size, file) != view->buffer.size) abort();
  fclose(file);
  snprintf(command, sizeof(command),
           "'%s' --device=%s --module='%s' --function=main --input=%si8=@%s --output=@%s >/dev/null 2>&1",
           getenv("IREE_RUN_MODULE"), call->session->device->driver, call->session->module, shape, input, output);
  int failed = system(command);
  call->output = failed ? NULL : read_output(output);
  unlink(input), unlink(output), rmdir(folder);
  return call->output ? NULL : iree_make_status(3, "the module does not take this input");
}

iree_status_t iree_runtime_call_outputs_pop_front_buffer_view(iree_runtime_call_t* call, iree_hal_buffer_view_t** view) {
  *view = ((call_t*)call)->output;
  ((call_t*)call)->output = NULL;
  return *view ? NULL : iree_make_status(11, "no more outputs");
}

iree_status_t iree_hal_buffer_view_allocate_buffer_copy(iree_hal_device_t* device, iree_hal_allocator_t* allocator,
                                                        iree_host_size_t rank, const iree_hal_dim_t* shape,
                                                        iree_hal_element_type_t element,
                                                        iree_hal_encoding_type_t encoding,
                                                        iree_hal_buffer_params_t params, iree_const_byte_span_t data,
                                                        iree_hal_buffer_view_t** view) {
  (void)device, (void)allocator, (void)encoding, (void)params;
  if (element != IREE_HAL_ELEMENT_TYPE_INT_8) return iree_make_status(3, "only bytes");
  *view = view_of(data.data, data.data_length, 1);
  (*view)->rank = rank;
  memcpy((*view)->shape, shape, rank * sizeof(*shape));
  return NULL;
}
iree_host_size_t iree_hal_buffer_view_element_count(const iree_hal_buffer_view_t* view) {
  return view->buffer.size / view->element_size;
}
iree_hal_buffer_t* iree_hal_buffer_view_buffer(const iree_hal_buffer_view_t* view) {
  return (iree_hal_buffer_t*)&view->buffer;
}
void iree_hal_buffer_view_release(iree_hal_buffer_view_t* view) {
  if (!view || --view->references) return;
  free(view->buffer.data);
  free(view);
}
iree_status_t iree_hal_buffer_map_read(iree_hal_buffer_t* buffer, iree_device_size_t offset, void* target,
                                       iree_device_size_t length) {
  if (offset + length > buffer->size) return iree_make_status(11, "outside the buffer");
  memcpy(target, buffer->data + offset, length);
  return NULL;
}
