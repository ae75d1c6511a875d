/* A web service whose capacity is known: it answers so many requests at a time, each after so many
 * milliseconds of waiting, and costs next to no processor time. It is no framework and no benchmark.
 *
 *   PORT_HTTP  where it listens        WORKERS  requests answered at a time (4)
 *   TAKES_MS   time of an answer (200) QUEUE    requests that wait at most, the rest get 503 (40)
 *   FAULTY     hundredths that fail (0): a bad release
 *
 * The switch `recommendations` of shop-switches, where there is one, takes a quarter of the time.
 *   cc -O2 -static -pthread -o shop shop.c
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const double BUCKETS[] = {0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1, 1.5, 2, 3};
enum { N = sizeof BUCKETS / sizeof *BUCKETS };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t freed = PTHREAD_COND_INITIALIZER;
static long workers, takes_ms, queue, faulty;
static long waiting, good, failed, refused, buckets[N];
static double seconds;
static volatile sig_atomic_t look = 1;
static volatile int recommendations = 1;

static long number(const char *name, long usual) {
    const char *text = getenv(name);
    return text && *text ? atol(text) : usual;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void hangup(int signal) {
    (void)signal;
    look = 1;
}

static void read_switches(void) {
    char path[512], text[4096] = "";
    const char *dir = getenv("ATOLL_CONFIG_DIR");
    look = 0;
    snprintf(path, sizeof path, "%s/shop-switches.json", dir ? dir : ".");
    FILE *file = fopen(path, "r");
    if (!file) return;
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    const char *found = strstr(text, "\"recommendations\":");
    recommendations = !(found && strstr(found, "false") == found + strcspn(found, "tf"));
}

static int reply(int to, const char *status, const char *body) {
    char text[16384];
    int size = snprintf(text, sizeof text,
                        "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n%s",
                        status, strlen(body), body);
    return send(to, text, size, MSG_NOSIGNAL) == size ? 0 : -1;
}

static int metrics(int to) {
    char text[8192];
    pthread_mutex_lock(&lock);
    long all = good + failed + refused;
    int at = snprintf(text, sizeof text,
                      "# TYPE http_requests_total counter\n"
                      "http_requests_total{code=\"200\"} %ld\nhttp_requests_total{code=\"500\"} %ld\n"
                      "http_requests_total{code=\"503\"} %ld\n"
                      "# TYPE http_request_duration_seconds histogram\n",
                      good, failed, refused);
    for (int i = 0; i < N; i++)
        at += snprintf(text + at, sizeof text - at,
                       "http_request_duration_seconds_bucket{le=\"%g\"} %ld\n", BUCKETS[i],
                       buckets[i]);
    snprintf(text + at, sizeof text - at,
             "http_request_duration_seconds_bucket{le=\"+Inf\"} %ld\n"
             "http_request_duration_seconds_sum %f\nhttp_request_duration_seconds_count %ld\n",
             all, seconds, all);
    pthread_mutex_unlock(&lock);
    return reply(to, "200 OK", text);
}

static int page(int to) {
    double began = now();
    pthread_mutex_lock(&lock);
    if (workers == 0 && waiting >= queue) {
        refused++;
        for (int i = 0; i < N; i++) buckets[i]++;
        pthread_mutex_unlock(&lock);
        return reply(to, "503 Service Unavailable", "too many\n");
    }
    waiting++;
    while (workers == 0) pthread_cond_wait(&freed, &lock);
    waiting--;
    workers--;
    pthread_mutex_unlock(&lock);
    if (look) read_switches();
    long ms = recommendations ? takes_ms : takes_ms * 3 / 4;
    usleep(ms * (900 + random() % 200));
    int bad = random() % 100 < faulty;
    pthread_mutex_lock(&lock);
    workers++;
    double took = now() - began;
    seconds += took;
    if (bad) failed++;
    else good++;
    for (int i = 0; i < N; i++) buckets[i] += took <= BUCKETS[i];
    pthread_cond_signal(&freed);
    pthread_mutex_unlock(&lock);
    return bad ? reply(to, "500 Internal Server Error", "failed\n") : reply(to, "200 OK", "ok\n");
}

static void *serve(void *arg) {
    int from = (int)(long)arg, one = 1;
    char text[4096];
    size_t have = 0;
    setsockopt(from, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    for (;;) {
        ssize_t got = recv(from, text + have, sizeof text - 1 - have, 0);
        if (got <= 0) break;
        text[have += got] = 0;
        if (!strstr(text, "\r\n\r\n")) {
            if (have < sizeof text - 1) continue;
            break;
        }
        have = 0;
        int wrong = strncmp(text, "GET /healthz", 12) == 0   ? reply(from, "200 OK", "ok\n")
                    : strncmp(text, "GET /metrics", 12) == 0 ? metrics(from)
                                                             : page(from);
        if (wrong || strstr(text, "Connection: close") || strstr(text, "connection: close")) break;
    }
    close(from);
    return NULL;
}

int main(void) {
    workers = number("WORKERS", 4);
    takes_ms = number("TAKES_MS", 200);
    queue = number("QUEUE", 40);
    faulty = number("FAULTY", 0);
    srandom(getpid() ^ time(NULL));
    struct sigaction again = {.sa_handler = hangup, .sa_flags = SA_RESTART};
    sigaction(SIGHUP, &again, NULL);
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(number("PORT_HTTP", 8080))};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 256)) {
        perror("listening");
        return 1;
    }
    printf("%s listens on %ld\n", getenv("ATOLL_INSTANCE") ? getenv("ATOLL_INSTANCE") : "shop",
           number("PORT_HTTP", 8080));
    fflush(stdout);
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 << 10);
    pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
    for (;;) {
        int from = accept(listener, NULL, NULL);
        pthread_t thread;
        if (from < 0) continue;
        if (pthread_create(&thread, &small, serve, (void *)(long)from)) close(from);
    }
}
