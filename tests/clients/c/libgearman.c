/* libgearman as a C program uses it: `libgearman PORT_A PORT_B`. Workers are child processes. README.md in the folder
 * above says what is reported, and how. */
#include <errno.h>
#include <libgearman/gearman.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <time.h>
#include <unistd.h>

#define HOST "127.0.0.1"
/* How long anything may take that is to happen, in milliseconds. */
#define PATIENCE 20000
#define LARGE (3 * 1024 * 1024)

/* Ends the case that failed. */
#define MUST(condition)                                                                                               \
    do {                                                                                                              \
        if (!(condition))                                                                                             \
            return reason("line %d: %s", __LINE__, #condition);                                                       \
    } while (0)
/* The same for a call of libgearman. */
#define WELL(call)                                                                                                    \
    do {                                                                                                              \
        gearman_return_t well_ = (call);                                                                              \
        if (well_ != GEARMAN_SUCCESS)                                                                                 \
            return reason("line %d: %s: %s", __LINE__, #call, gearman_strerror(well_));                               \
    } while (0)

static in_port_t port_a, port_b;
/* Functions write here what they were given, a line each; the cases read it. */
static int journal[2];
/* Functions that wait read a byte from here; the cases write it. */
static int gate[2];
/* How often `mortal` was called, by all workers together. */
static volatile int *calls;
static gearman_client_st *client;

static const char *reason(const char *format, ...) {
    static char text[500];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return text;
}

/* The functions of the workers. */

static void *result(const void *bytes, size_t size, size_t *result_size) {
    char *copy = malloc(size + 1);
    memcpy(copy, bytes, size);
    *result_size = size;
    return copy;
}

static void *echo(gearman_job_st *job, void *context, size_t *size, gearman_return_t *status) {
    (void)context;
    *status = GEARMAN_SUCCESS;
    return result(gearman_job_workload(job), gearman_job_workload_size(job), size);
}

static void *reverse(gearman_job_st *job, void *context, size_t *size, gearman_return_t *status) {
    (void)context;
    char *bytes = result(gearman_job_workload(job), gearman_job_workload_size(job), size);
    for (size_t i = 0; i < *size / 2; i++) {
        char byte = bytes[i];
        bytes[i] = bytes[*size - 1 - i];
        bytes[*size - 1 - i] = byte;
    }
    *status = GEARMAN_SUCCESS;
    return bytes;
}

static void *note(gearman_job_st *job, void *context, size_t *size, gearman_return_t *status) {
    (void)context;
    char line[200];
    int length = snprintf(line, sizeof line, "%.*s\n", (int)gearman_job_workload_size(job),
                          (const char *)gearman_job_workload(job));
    *size = 0;
    *status = write(journal[1], line, length) == length ? GEARMAN_SUCCESS : GEARMAN_ERROR;
    return NULL;
}

/* Says 1 of 4, and waits to be let go. */
static void *slow(gearman_job_st *job, void *context, size_t *size, gearman_return_t *status) {
    (void)context;
    char byte;
    *status = gearman_job_send_status(job, 1, 4);
    if (read(gate[0], &byte, 1) != 1)
        *status = GEARMAN_ERROR;
    return result("late", 4, size);
}

static void *talk(gearman_job_st *job, void *context, size_t *size, gearman_return_t *status) {
    (void)context;
    gearman_job_send_status(job, 1, 2);
    gearman_job_send_data(job, "some data", 9);
    gearman_job_send_warning(job, "a warning", 9);
    gearman_job_send_data(job, "more data", 9);
    *status = gearman_job_send_status(job, 2, 2);
    return result("the end", 7, size);
}

static void *throw(gearman_job_st *job, void *context, size_t *size, gearman_return_t *status) {
    (void)context;
    *status = gearman_job_send_exception(job, "what happened", 13);
    *size = 0;
    return NULL;
}

static void *fail(gearman_job_st *job, void *context, size_t *size, gearman_return_t *status) {
    (void)job, (void)context;
    *size = 0;
    *status = GEARMAN_FATAL;
    return NULL;
}

/* Kills the first worker that is given the job. */
static void *mortal(gearman_job_st *job, void *context, size_t *size, gearman_return_t *status) {
    (void)job, (void)context;
    if (__sync_add_and_fetch(calls, 1) == 1)
        _exit(1);
    *status = GEARMAN_SUCCESS;
    return result("survived", 8, size);
}

/* The first call is never ready. */
static void *tardy(gearman_job_st *job, void *context, size_t *size, gearman_return_t *status) {
    (void)job, (void)context;
    while (__sync_add_and_fetch(calls, 1) == 1)
        pause();
    *status = GEARMAN_SUCCESS;
    return result("in time", 7, size);
}

/* Gives each word of the workload to the function that the client named. */
static gearman_return_t split(gearman_job_st *job, void *context) {
    (void)context;
    const char *at = gearman_job_workload(job), *end = at + gearman_job_workload_size(job);
    while (at < end) {
        const char *space = memchr(at, ' ', end - at);
        const char *stop = space ? space : end;
        gearman_return_t sent = gearman_job_send_data(job, at, stop - at);
        if (gearman_failed(sent))
            return sent;
        at = stop + 1;
    }
    return GEARMAN_SUCCESS;
}

/* Puts together how long the pieces were that came back, in whichever order. */
static gearman_return_t join(gearman_aggregator_st *aggregator, gearman_task_st *task, gearman_result_st *whole) {
    (void)aggregator;
    char text[32];
    size_t bytes = 0;
    for (; task; task = gearman_next(task)) {
        gearman_result_st *part = gearman_task_result(task);
        if (part)
            bytes += gearman_result_size(part);
    }
    return gearman_result_store_value(whole, text, snprintf(text, sizeof text, "%zu bytes", bytes));
}

/* Workers. */

static gearman_worker_st *new_worker(bool both) {
    gearman_worker_st *worker = gearman_worker_create(NULL);
    gearman_worker_add_server(worker, HOST, port_a);
    if (both)
        gearman_worker_add_server(worker, HOST, port_b);
    return worker;
}

/* Works as libgearman's own examples do: whatever happens, on it goes. */
static void work_for_ever(gearman_worker_st *worker) {
    for (;;) {
        gearman_return_t status = gearman_worker_work(worker);
        if (status == GEARMAN_LOST_CONNECTION || status == GEARMAN_COULD_NOT_CONNECT || status == GEARMAN_ERRNO)
            usleep(20000);
    }
}

/* Forks, and the child comes back 0. */
static pid_t child(void) {
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(STDERR_FILENO, STDOUT_FILENO);
    }
    return pid;
}

/* A worker with the functions of these names. */
static pid_t start_worker(bool both, const char *names) {
    static const struct {
        const char *name;
        gearman_worker_fn *function;
    } all[] = {{"echo", echo},   {"reverse", reverse}, {"note", note}, {"slow", slow},
               {"talk", talk},   {"throw", throw},     {"fail", fail}, {"mortal", mortal}};
    pid_t pid = child();
    if (pid != 0)
        return pid;
    gearman_worker_st *worker = new_worker(both);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char name[64];
        snprintf(name, sizeof name, "libgearman-%s", all[i].name);
        if (strstr(names, all[i].name))
            gearman_worker_add_function(worker, name, 0, all[i].function, NULL);
    }
    work_for_ever(worker);
    return 0;
}

static void end_worker(pid_t pid) {
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* What the cases share. */

/* The next line of the journal, or what says that there is none. */
static const char *noted(void) {
    static char line[200];
    struct pollfd ready = {.fd = journal[0], .events = POLLIN};
    size_t length = 0;
    while (poll(&ready, 1, PATIENCE) == 1 && read(journal[0], line + length, 1) == 1 && length < sizeof line - 1) {
        if (line[length] == '\n') {
            line[length] = 0;
            return line;
        }
        length++;
    }
    return "(nothing was noted)";
}

static bool notes(const char *const *wanted) {
    bool same = true;
    for (; *wanted; wanted++) {
        const char *line = noted();
        if (strcmp(line, *wanted) != 0) {
            fprintf(stderr, "noted is %s, not %s\n", line, *wanted);
            same = false;
        }
    }
    return same;
}
#define NOTES(...) notes((const char *const[]){__VA_ARGS__, NULL})

typedef void *do_function(gearman_client_st *, const char *, const char *, const void *, size_t, size_t *,
                          gearman_return_t *);

/* Does a job and compares what comes of it. */
static const char *does(do_function *how, const char *name, const void *workload, size_t size, const void *wanted,
                        size_t wanted_size) {
    gearman_return_t status;
    size_t got_size = 0;
    char *got = how(client, name, NULL, workload, size, &got_size, &status);
    if (status != GEARMAN_SUCCESS)
        return reason("%s: %s", name, gearman_strerror(status));
    MUST(got_size == wanted_size);
    MUST(got_size == 0 || memcmp(got, wanted, got_size) == 0);
    free(got);
    return NULL;
}

static const char *reverses(do_function *how) {
    return does(how, "libgearman-reverse", "hello", 5, "olleh", 5);
}

static gearman_client_st *new_client(bool both) {
    gearman_client_st *made = gearman_client_create(NULL);
    gearman_client_add_server(made, HOST, port_a);
    if (both)
        gearman_client_add_server(made, HOST, port_b);
    gearman_client_set_timeout(made, PATIENCE);
    return made;
}

/* Asks for the status of a job until it runs and has said something, or until it is gone. */
static bool status_becomes(const char *handle, bool running, uint32_t *numerator, uint32_t *denominator) {
    for (int i = 0; i < PATIENCE / 5; i++) {
        bool is_known, is_running;
        if (gearman_client_job_status(client, handle, &is_known, &is_running, numerator, denominator))
            return false;
        if (running ? is_running && *denominator : !is_known)
            return true;
        usleep(5000);
    }
    return false;
}

static void let_go(void) {
    if (write(gate[1], "x", 1) != 1)
        abort();
}

/* Has the harness do something to a server. */
static bool please(const char *what) {
    char line[32];
    printf("please %s\n", what);
    fflush(stdout);
    return fgets(line, sizeof line, stdin) && strcmp(line, "done\n") == 0;
}

/* What a task's callbacks have seen. */
static struct {
    char order[200];
    uint32_t numerator, denominator;
    char data[200], warning[200], exception[200];
} seen;

static void saw(const char *what) {
    strncat(seen.order, what, sizeof seen.order - strlen(seen.order) - 1);
    strncat(seen.order, " ", sizeof seen.order - strlen(seen.order) - 1);
}

static void append(char *to, gearman_task_st *task) {
    strncat(to, gearman_task_data(task) ? gearman_task_data(task) : "", gearman_task_data_size(task));
}

static gearman_return_t on_created(gearman_task_st *task) {
    saw(*gearman_task_job_handle(task) ? "created" : "created-without-handle");
    return GEARMAN_SUCCESS;
}

static gearman_return_t on_data(gearman_task_st *task) {
    saw("data");
    append(seen.data, task);
    return GEARMAN_SUCCESS;
}

static gearman_return_t on_warning(gearman_task_st *task) {
    saw("warning");
    append(seen.warning, task);
    return GEARMAN_SUCCESS;
}

static gearman_return_t on_status(gearman_task_st *task) {
    saw("status");
    seen.numerator = gearman_task_numerator(task);
    seen.denominator = gearman_task_denominator(task);
    return GEARMAN_SUCCESS;
}

static gearman_return_t on_complete(gearman_task_st *task) {
    (void)task;
    saw("complete");
    return GEARMAN_SUCCESS;
}

static gearman_return_t on_exception(gearman_task_st *task) {
    saw("exception");
    append(seen.exception, task);
    return GEARMAN_SUCCESS;
}

static gearman_return_t on_fail(gearman_task_st *task) {
    (void)task;
    saw("fail");
    return GEARMAN_SUCCESS;
}

/* Runs a function as a task, with all callbacks. */
static const char *watch(const char *name, bool exceptions) {
    memset(&seen, 0, sizeof seen);
    gearman_client_st *watcher = new_client(false);
    gearman_client_set_created_fn(watcher, on_created);
    gearman_client_set_data_fn(watcher, on_data);
    gearman_client_set_warning_fn(watcher, on_warning);
    gearman_client_set_status_fn(watcher, on_status);
    gearman_client_set_complete_fn(watcher, on_complete);
    gearman_client_set_exception_fn(watcher, on_exception);
    gearman_client_set_fail_fn(watcher, on_fail);
    if (exceptions)
        MUST(gearman_client_set_server_option(watcher, "exceptions", 10));
    gearman_return_t status;
    gearman_client_add_task(watcher, NULL, NULL, name, NULL, "x", 1, &status);
    WELL(status);
    WELL(gearman_client_run_tasks(watcher));
    gearman_client_free(watcher);
    return NULL;
}

/* Asks the first server as an administrator does. */
static bool server_says(const char *question, const char *wanted) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port_a)};
    char answer[8192];
    size_t length = 0;
    ssize_t got;
    inet_pton(AF_INET, HOST, &address.sin_addr);
    int connection = socket(AF_INET, SOCK_STREAM, 0);
    bool asked = connect(connection, (struct sockaddr *)&address, sizeof address) == 0 &&
                 write(connection, question, strlen(question)) == (ssize_t)strlen(question);
    while (asked && (got = read(connection, answer + length, sizeof answer - length - 1)) > 0) {
        length += got;
        answer[length] = 0;
        if (strstr(answer, ".\n"))
            break;
    }
    close(connection);
    answer[length] = 0;
    return strstr(answer, wanted) != NULL;
}

static bool server_comes_to_say(const char *question, const char *wanted) {
    for (int i = 0; i < PATIENCE / 5; i++) {
        if (server_says(question, wanted))
            return true;
        usleep(5000);
    }
    return false;
}

/* Waits until the only worker has done all that was there. One that is ended before it has sent its result leaves the
 * job to the next. */
static const char *settles(void) {
    return does(gearman_client_do_low, "libgearman-echo", "done?", 5, "done?", 5);
}

/* The cases. Each gives back NULL, or what is wrong. */

static const char *foreground(void) {
    return reverses(gearman_client_do);
}

static const char *background(void) {
    gearman_job_handle_t handle;
    uint32_t numerator, denominator;
    WELL(gearman_client_do_background(client, "libgearman-note", NULL, "in the background", 17, handle));
    MUST(*handle);
    MUST(NOTES("in the background"));
    MUST(status_becomes(handle, false, &numerator, &denominator));
    return NULL;
}

static const char *high(void) {
    return reverses(gearman_client_do_high);
}

static const char *low(void) {
    return reverses(gearman_client_do_low);
}

static const char *priorities(void) {
    gearman_job_handle_t handle;
    const char *name = "libgearman-note";
    WELL(gearman_client_do_low_background(client, name, NULL, "low 1", 5, handle));
    WELL(gearman_client_do_low_background(client, name, NULL, "low 2", 5, handle));
    WELL(gearman_client_do_background(client, name, NULL, "normal 1", 8, handle));
    WELL(gearman_client_do_background(client, name, NULL, "normal 2", 8, handle));
    WELL(gearman_client_do_high_background(client, name, NULL, "high 1", 6, handle));
    WELL(gearman_client_do_high_background(client, name, NULL, "high 2", 6, handle));
    pid_t worker = start_worker(false, "note echo");
    bool all = NOTES("high 1", "high 2", "normal 1", "normal 2", "low 1", "low 2");
    const char *wrong = settles();
    end_worker(worker);
    MUST(all);
    return wrong;
}

static const char *status_running(void) {
    gearman_job_handle_t handle;
    uint32_t numerator, denominator;
    WELL(gearman_client_do_background(client, "libgearman-slow", NULL, NULL, 0, handle));
    MUST(status_becomes(handle, true, &numerator, &denominator));
    MUST(numerator == 1 && denominator == 4);
    let_go();
    MUST(status_becomes(handle, false, &numerator, &denominator));
    return NULL;
}

static const char *status_known(void) {
    gearman_job_handle_t handle;
    bool is_known, is_running;
    uint32_t numerator, denominator;
    WELL(gearman_client_do_background(client, "libgearman-nobody", NULL, NULL, 0, handle));
    WELL(gearman_client_job_status(client, handle, &is_known, &is_running, &numerator, &denominator));
    MUST(is_known && !is_running && numerator == 0 && denominator == 0);
    return NULL;
}

static const char *status_unknown(void) {
    bool is_known, is_running;
    uint32_t numerator, denominator;
    const gearman_job_handle_t nowhere = "H:nowhere:12345";
    WELL(gearman_client_job_status(client, nowhere, &is_known, &is_running, &numerator, &denominator));
    MUST(!is_known && !is_running);
    return NULL;
}

static const char *progress(void) {
    const char *wrong = watch("libgearman-talk", false);
    MUST(!wrong);
    MUST(seen.numerator == 2 && seen.denominator == 2);
    return NULL;
}

static const char *data(void) {
    MUST(strcmp(seen.data, "some datamore data") == 0);
    return NULL;
}

static const char *warning(void) {
    MUST(strcmp(seen.warning, "a warning") == 0);
    return NULL;
}

static const char *all_callbacks(void) {
    const char *wanted = "created status data warning data status complete ";
    return strcmp(seen.order, wanted) == 0 ? NULL : reason("callbacks: %s", seen.order);
}

static const char *exception(void) {
    const char *wrong = watch("libgearman-throw", true);
    if (wrong)
        return wrong;
    MUST(strcmp(seen.exception, "what happened") == 0);
    return NULL;
}

/* For a client that did not ask for exceptions, one is a failure. */
static const char *exception_unasked(void) {
    gearman_return_t status;
    size_t size;
    gearman_client_st *self = new_client(false);
    gearman_client_set_timeout(self, 5000);
    gearman_client_do(self, "libgearman-throw", NULL, NULL, 0, &size, &status);
    gearman_client_free(self);
    if (status != GEARMAN_WORK_FAIL)
        return reason("%s instead of GEARMAN_WORK_FAIL", gearman_strerror(status));
    return NULL;
}

static const char *failure(void) {
    gearman_return_t status;
    size_t size;
    gearman_client_do(client, "libgearman-fail", NULL, NULL, 0, &size, &status);
    MUST(status == GEARMAN_WORK_FAIL);
    return NULL;
}

static const char *unique(void) {
    gearman_job_handle_t first, second, third;
    WELL(gearman_client_do_background(client, "libgearman-note", "the same", "one run", 7, first));
    WELL(gearman_client_do_background(client, "libgearman-note", "the same", "another", 7, second));
    WELL(gearman_client_do_background(client, "libgearman-note", "different", "the last", 8, third));
    MUST(strcmp(first, second) == 0 && strcmp(first, third) != 0);
    pid_t worker = start_worker(false, "note echo");
    bool all = NOTES("one run", "the last");
    const char *wrong = settles();
    end_worker(worker);
    MUST(all);
    return wrong;
}

static const char *binary(void) {
    unsigned char bytes[256];
    for (int i = 0; i < 256; i++)
        bytes[i] = i;
    return does(gearman_client_do, "libgearman-echo", bytes, sizeof bytes, bytes, sizeof bytes);
}

static const char *empty(void) {
    return does(gearman_client_do, "libgearman-echo", NULL, 0, NULL, 0);
}

static const char *large(void) {
    unsigned char *bytes = malloc(LARGE);
    uint32_t state = 1;
    for (int i = 0; i < LARGE; i++)
        bytes[i] = (state = state * 1664525 + 1013904223) >> 24;
    const char *wrong = does(gearman_client_do, "libgearman-echo", bytes, LARGE, bytes, LARGE);
    free(bytes);
    return wrong;
}

static const char *dying_worker(void) {
    pid_t workers[] = {start_worker(false, "mortal"), start_worker(false, "mortal")};
    const char *wrong = does(gearman_client_do, "libgearman-mortal", NULL, 0, "survived", 8);
    end_worker(workers[0]);
    end_worker(workers[1]);
    MUST(wrong || *calls == 2);
    return wrong;
}

static const char *several_functions(void) {
    pid_t worker = start_worker(false, "echo note reverse");
    const char *wrong = does(gearman_client_do, "libgearman-echo", "abc", 3, "abc", 3);
    if (!wrong)
        wrong = does(gearman_client_do, "libgearman-reverse", "abc", 3, "cba", 3);
    if (!wrong)
        wrong = does(gearman_client_do, "libgearman-note", "abc", 3, "", 0);
    end_worker(worker);
    MUST(wrong || NOTES("abc"));
    return wrong;
}

/* Workers that register with a time-out, the first of which is too late; and a client that does not wait. */
static const char *timeout(void) {
    gearman_return_t status;
    size_t size;
    pid_t workers[2];
    *calls = 0;
    for (int i = 0; i < 2; i++) {
        workers[i] = child();
        if (workers[i] == 0) {
            gearman_worker_st *self = new_worker(false);
            gearman_worker_add_function(self, "libgearman-tardy", 1000, tardy, NULL);
            work_for_ever(self);
        }
    }
    const char *wrong = does(gearman_client_do, "libgearman-tardy", NULL, 0, "in time", 7);
    end_worker(workers[0]);
    end_worker(workers[1]);
    if (wrong)
        return wrong;
    gearman_client_st *hasty = new_client(false);
    gearman_client_set_timeout(hasty, 100);
    gearman_client_do(hasty, "libgearman-nobody", NULL, NULL, 0, &size, &status);
    MUST(status == GEARMAN_TIMEOUT);
    gearman_client_free(hasty);
    return NULL;
}

static const char *echoes(void) {
    WELL(gearman_client_echo(client, "are you there", 13));
    gearman_worker_st *worker = new_worker(false);
    WELL(gearman_worker_echo(worker, "and you", 7));
    gearman_worker_free(worker);
    return NULL;
}

/* A new client for each attempt. One whose call has failed keeps the task, and may wait for it when the next one is
 * done; and one of two servers reads at times from the other than the one that answers. */
static bool again(bool both) {
    for (int i = 0; i < PATIENCE / 1000; i++) {
        gearman_client_free(client);
        client = new_client(both);
        gearman_client_set_timeout(client, 1000);
        if (!reverses(gearman_client_do))
            return true;
        usleep(20000);
    }
    return false;
}

static const char *restart(void) {
    MUST(reverses(gearman_client_do) == NULL);
    MUST(please("kill A"));
    MUST(reverses(gearman_client_do) != NULL);
    MUST(please("start A"));
    MUST(again(false));
    return NULL;
}

static const char *two_servers(void) {
    pid_t worker = start_worker(true, "reverse");
    bool well = again(true);
    MUST(please("kill A"));
    well = well && again(true) && again(true);
    end_worker(worker);
    MUST(please("start A"));
    gearman_client_free(client);
    client = new_client(false);
    MUST(well);
    return NULL;
}

/* Cases of this library's own. */

static const char *status_by_unique(void) {
    gearman_job_handle_t handle;
    WELL(gearman_client_do_background(client, "libgearman-nobody", "known by this", NULL, 0, handle));
    gearman_status_t status = gearman_client_unique_status(client, "known by this", 13);
    WELL(gearman_status_return(status));
    MUST(gearman_status_is_known(status) && !gearman_status_is_running(status));
    status = gearman_client_unique_status(client, "nobody knows", 12);
    MUST(!gearman_status_is_known(status));
    return NULL;
}

static const char *epoch(void) {
    gearman_task_attr_t when = gearman_task_attr_init_epoch(time(NULL) + 2, GEARMAN_JOB_PRIORITY_NORMAL);
    gearman_argument_t workload = gearman_argument_make(NULL, 0, "later", 5);
    gearman_job_handle_t handle;
    gearman_task_st *task =
        gearman_execute(client, "libgearman-note", 15, "with an epoch", 13, &when, &workload, NULL);
    MUST(task && *gearman_task_job_handle(task));
    WELL(gearman_client_do_background(client, "libgearman-note", NULL, "now", 3, handle));
    pid_t worker = start_worker(false, "note echo");
    bool all = NOTES("now", "later");
    const char *wrong = settles();
    end_worker(worker);
    MUST(all);
    return wrong;
}

static const char *reduce(void) {
    pid_t workers[2];
    for (int i = 0; i < 2; i++) {
        workers[i] = child();
        if (workers[i] == 0) {
            gearman_worker_st *self = new_worker(false);
            gearman_function_t splitter = gearman_function_create_partition(split, join);
            gearman_worker_define_function(self, "libgearman-split", 16, splitter, 0, NULL);
            gearman_worker_add_function(self, "libgearman-piece", 0, echo, NULL);
            work_for_ever(self);
        }
    }
    gearman_argument_t workload = gearman_argument_make(NULL, 0, "a few words to count", 20);
    gearman_client_st *self = new_client(false);
    gearman_task_st *task = gearman_execute_by_partition(self, "libgearman-split", 16, "libgearman-piece", 16, NULL, 0,
                                                         NULL, &workload, NULL);
    MUST(task);
    WELL(gearman_task_return(task));
    gearman_result_st *whole = gearman_task_result(task);
    MUST(whole && strcmp(gearman_result_value(whole), "16 bytes") == 0);
    gearman_client_free(self);
    end_worker(workers[0]);
    end_worker(workers[1]);
    return NULL;
}

static const char *non_blocking_client(void) {
    gearman_return_t status, added[2];
    memset(&seen, 0, sizeof seen);
    gearman_client_st *self = new_client(false);
    gearman_client_add_options(self, GEARMAN_CLIENT_NON_BLOCKING | GEARMAN_CLIENT_UNBUFFERED_RESULT);
    gearman_client_remove_options(self, GEARMAN_CLIENT_UNBUFFERED_RESULT);
    gearman_client_set_complete_fn(self, on_complete);
    gearman_client_add_task(self, NULL, NULL, "libgearman-reverse", NULL, "ab", 2, &added[0]);
    gearman_client_add_task(self, NULL, NULL, "libgearman-echo", NULL, "ab", 2, &added[1]);
    MUST(added[0] == GEARMAN_SUCCESS && added[1] == GEARMAN_SUCCESS);
    while ((status = gearman_client_run_tasks(self)) == GEARMAN_IO_WAIT)
        WELL(gearman_client_wait(self));
    WELL(status);
    MUST(strcmp(seen.order, "complete complete ") == 0);
    gearman_client_free(self);
    return NULL;
}

/* As Gearman::XS and GearmanManager do: never blocks in the call, and waits a little where there is nothing to do. */
static const char *non_blocking_worker(void) {
    pid_t worker = child();
    if (worker == 0) {
        gearman_worker_st *self = new_worker(false);
        gearman_worker_add_options(self, GEARMAN_WORKER_NON_BLOCKING);
        gearman_worker_set_timeout(self, 50);
        gearman_worker_add_function(self, "libgearman-patient", 0, reverse, NULL);
        for (;;) {
            gearman_return_t status = gearman_worker_work(self);
            if (status == GEARMAN_IO_WAIT || status == GEARMAN_NO_JOBS)
                gearman_worker_wait(self);
            else if (status != GEARMAN_SUCCESS && status != GEARMAN_TIMEOUT)
                usleep(20000);
        }
    }
    const char *wrong = NULL;
    for (int i = 0; i < 3 && !wrong; i++) {
        wrong = does(gearman_client_do, "libgearman-patient", "abc", 3, "cba", 3);
        /* Longer than the worker waits. */
        usleep(120000);
    }
    end_worker(worker);
    return wrong;
}

static const char *worker_timeout(void) {
    gearman_worker_st *self = new_worker(false);
    gearman_worker_set_timeout(self, 50);
    gearman_worker_add_function(self, "libgearman-idle", 0, echo, NULL);
    MUST(gearman_worker_work(self) == GEARMAN_TIMEOUT);
    gearman_worker_free(self);
    return NULL;
}

static const char *identifier(void) {
    gearman_worker_st *self = new_worker(false);
    WELL(gearman_worker_set_identifier(self, "libgearman-id", 13));
    WELL(gearman_worker_register(self, "libgearman-first", 0));
    WELL(gearman_worker_register(self, "libgearman-second", 0));
    gearman_worker_set_timeout(self, 50);
    gearman_return_t status;
    gearman_job_st *job = gearman_worker_grab_job(self, NULL, &status);
    if (job || (status != GEARMAN_TIMEOUT && status != GEARMAN_NO_JOBS))
        return reason("grab: %s", gearman_strerror(status));
    MUST(server_comes_to_say("workers\n", " libgearman-id : "));
    WELL(gearman_worker_unregister(self, "libgearman-first"));
    gearman_worker_grab_job(self, NULL, &status);
    MUST(server_comes_to_say("workers\n", " libgearman-id : libgearman-second\n"));
    WELL(gearman_worker_unregister_all(self));
    gearman_worker_grab_job(self, NULL, &status);
    MUST(server_comes_to_say("workers\n", " libgearman-id :\n") || server_says("workers\n", " libgearman-id : \n"));
    gearman_worker_free(self);
    return NULL;
}

/* Takes the job itself, sends the parts of the answer itself, and sees what the client has said. */
static const char *grab_job(void) {
    gearman_job_handle_t handle;
    gearman_return_t status;
    WELL(gearman_client_do_background(client, "libgearman-grab", "a unique", "take me", 7, handle));
    gearman_worker_st *self = new_worker(false);
    WELL(gearman_worker_register(self, "libgearman-grab", 0));
    gearman_job_st *job = gearman_worker_grab_job(self, NULL, &status);
    MUST(job && status == GEARMAN_SUCCESS);
    MUST(strcmp(gearman_job_handle(job), handle) == 0);
    MUST(strcmp(gearman_job_unique(job), "a unique") == 0);
    MUST(strcmp(gearman_job_function_name(job), "libgearman-grab") == 0);
    MUST(gearman_job_workload_size(job) == 7);
    WELL(gearman_job_send_complete(job, "", 0));
    gearman_job_free(job);
    gearman_worker_free(self);
    return NULL;
}

static const char *namespaces(void) {
    pid_t worker = child();
    if (worker == 0) {
        gearman_worker_st *self = new_worker(false);
        gearman_worker_set_namespace(self, "here-", 5);
        gearman_worker_add_function(self, "libgearman-local", 0, reverse, NULL);
        work_for_ever(self);
    }
    gearman_client_st *before = client;
    client = new_client(false);
    gearman_client_set_namespace(client, "here-", 5);
    const char *wrong = does(gearman_client_do, "libgearman-local", "ab", 2, "ba", 2);
    gearman_client_free(client);
    client = before;
    end_worker(worker);
    return wrong;
}

static void report(const char *name, const char *wrong) {
    if (wrong)
        printf("case %s failed %s\n", name, wrong);
    else
        printf("case %s ok\n", name);
    fflush(stdout);
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    port_a = atoi(argv[1]);
    port_b = atoi(argv[2]);
    signal(SIGPIPE, SIG_IGN);
    calls = mmap(NULL, sizeof *calls, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (calls == MAP_FAILED || pipe(journal) || pipe(gate))
        return 3;
    printf("version libgearman %s\n", gearman_version());
    fflush(stdout);
    client = new_client(false);

    /* Before there is a worker. */
    const char *in_order = priorities();
    char in_order_text[500] = "";
    if (in_order)
        strcpy(in_order_text, in_order);
    const char *one_run = unique();
    char one_run_text[500] = "";
    if (one_run)
        strcpy(one_run_text, one_run);

    pid_t worker = start_worker(false, "echo reverse note slow talk throw fail");
    report("foreground", foreground());
    report("background", background());
    report("high", high());
    report("low", low());
    report("priorities", in_order ? in_order_text : NULL);
    report("status-running", status_running());
    report("status-known", status_known());
    report("status-unknown", status_unknown());
    report("progress", progress());
    report("data", data());
    report("warning", warning());
    report("all-callbacks", all_callbacks());
    report("exception", exception());
    report("fail", failure());
    report("exception-unasked", exception_unasked());
    report("unique", one_run ? one_run_text : NULL);
    report("binary", binary());
    report("empty", empty());
    report("large", large());
    report("dying-worker", dying_worker());
    end_worker(worker);
    report("several-functions", several_functions());
    report("timeout", timeout());
    report("echo", echoes());
    printf("case admin absent the library has no such calls; gearadmin has\n");
    report("epoch", epoch());
    worker = start_worker(false, "reverse echo");
    report("restart", restart());
    report("non-blocking-client", non_blocking_client());
    end_worker(worker);
    report("two-servers", two_servers());
    report("non-blocking-worker", non_blocking_worker());
    report("worker-timeout", worker_timeout());
    report("identifier", identifier());
    report("grab-job", grab_job());
    report("namespace", namespaces());
    report("status-by-unique", status_by_unique());
    report("reduce", reduce());
    gearman_client_free(client);
    return 0;
}
