// SPDX-License-Identifier: GPL-2.0-or-later
// The guest's first process after the root is assembled, or a service of systemd: runs the commands
// that the host sends over one virtio-serial port, streams their output back in frames, reaps
// orphans, and powers the machine off.
//
// Frame: u8 type, 3 zero bytes, u32 id, u32 length (little endian), then the payload.
// qemu/channel.py is the other end. Nothing here has a time limit: the host alone decides how long
// to wait.

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <map>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

constexpr const char* port_name = "tiered.agent";
constexpr size_t header_size = 12;
constexpr size_t max_payload = 31 * 1024; // a virtio-serial write carries at most 32 KiB

enum class ToGuest : uint8_t { run = 1, input = 2, window = 3, signal = 4, dump = 5, poweroff = 6 };
enum class ToHost : uint8_t {
    ready = 65,
    started = 66,
    output = 67,
    error = 68,
    exited = 69,
    dumped = 70
};

struct Frame {
    uint8_t type;
    uint32_t id;
    std::string payload;
};

struct Command {
    pid_t pid = -1;
    int input = -1;
    int output = -1;
    int error = -1;
    bool terminal = false;
    bool close_input = false;
    std::string pending; // input that the command has not taken yet
};

int port = -1;
std::map<uint32_t, Command> commands;
// Pipes that outlived their command because a background child holds them. Emptied, so that the
// child neither blocks nor dies of SIGPIPE, but no longer reported: the command's output ended with
// the command.
std::vector<int> leftovers;

[[noreturn]] void die(const char* what) {
    std::fprintf(stderr, "agent: %s: %s\n", what, std::strerror(errno));
    std::exit(1); // panics the kernel, or ends the machine by the unit: the host sees a lost VM
}

void write_all(int fd, const char* data, size_t size) {
    while (size > 0) {
        const ssize_t n = write(fd, data, size);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0)
            die("write to the port");
        data += n;
        size -= static_cast<size_t>(n);
    }
}

void put_u32(char* at, uint32_t value) {
    for (int i = 0; i < 4; i++)
        at[i] = static_cast<char>(value >> (8 * i));
}

uint32_t get_u32(const char* at) {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++)
        value |= static_cast<uint32_t>(static_cast<uint8_t>(at[i])) << (8 * i);
    return value;
}

void send(ToHost type, uint32_t id, std::string_view payload = {}) {
    static std::array<char, header_size + max_payload> frame;
    std::memset(frame.data(), 0, header_size);
    frame[0] = static_cast<char>(type);
    put_u32(frame.data() + 4, id);
    put_u32(frame.data() + 8, static_cast<uint32_t>(payload.size()));
    std::memcpy(frame.data() + header_size, payload.data(), payload.size());
    write_all(port, frame.data(), header_size + payload.size());
}

// ---- starting and feeding commands ------------------------------------------------------------

void set_window(int fd, const char* rows_columns) {
    winsize size{};
    size.ws_row = static_cast<unsigned short>(get_u32(rows_columns));
    size.ws_col = static_cast<unsigned short>(get_u32(rows_columns + 4));
    ioctl(fd, TIOCSWINSZ, &size);
}

[[noreturn]] void become(std::vector<char*> argv, int in, int out, int err, bool terminal) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    std::signal(SIGPIPE, SIG_DFL);
    setsid();
    dup2(in, 0);
    dup2(out, 1);
    dup2(err, 2);
    if (terminal)
        ioctl(0, TIOCSCTTY, 0);
    if (chdir("/root") != 0 && chdir("/") != 0)
        _exit(126);
    argv.push_back(nullptr);
    execvp(argv[0], argv.data());
    const int failure = errno;
    dprintf(2, "%s: %s\n", argv[0], std::strerror(failure));
    _exit(failure == ENOENT ? 127 : 126);
}

bool make_pipes(Command& command, int (&child)[3]) {
    int in[2], out[2], err[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0)
        return false;
    fcntl(out[1], F_SETPIPE_SZ, 256 * 1024); // fewer switches between a busy writer and the agent
    command.input = in[1];
    command.output = out[0];
    command.error = err[0];
    child[0] = in[0];
    child[1] = out[1];
    child[2] = err[1];
    return true;
}

bool make_terminal(Command& command, int (&child)[3], const char* rows_columns) {
    const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0)
        return false;
    const int slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        return false;
    set_window(master, rows_columns);
    command.input = dup(master);
    command.output = master;
    child[0] = child[1] = child[2] = slave;
    return true;
}

// Payload of run: u32 terminal, u32 rows, u32 columns, then the arguments, each ended by a NUL.
void start(uint32_t id, std::string& payload) {
    Command command;
    int child[3];
    std::vector<char*> argv;
    for (size_t at = 12; at < payload.size(); at = payload.find('\0', at) + 1)
        argv.push_back(payload.data() + at);
    command.terminal = get_u32(payload.data()) != 0;
    const bool ok = command.terminal ? make_terminal(command, child, payload.data() + 4)
                                     : make_pipes(command, child);
    if (!ok)
        die("no pipe or terminal for a command");
    send(ToHost::started, id);
    command.pid = fork();
    if (command.pid < 0)
        die("fork");
    if (command.pid == 0)
        become(argv, child[0], child[1], child[2], command.terminal);
    close(child[0]);
    if (!command.terminal) {
        close(child[1]);
        close(child[2]);
    }
    for (int fd : {command.input, command.output, command.error}) {
        if (fd >= 0) {
            fcntl(fd, F_SETFL, O_NONBLOCK);
            fcntl(fd, F_SETFD, FD_CLOEXEC);
        }
    }
    commands.emplace(id, std::move(command));
}

void feed(Command& command) {
    while (!command.pending.empty()) {
        const ssize_t n = write(command.input, command.pending.data(), command.pending.size());
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) { // nobody reads any more
            command.pending.clear();
            command.close_input = true;
            break;
        }
        command.pending.erase(0, static_cast<size_t>(n));
    }
    if (command.close_input && command.input >= 0) {
        close(command.input);
        command.input = -1;
    }
}

void take_input(Command& command, const std::string& payload) {
    if (command.input < 0)
        return;
    command.pending += payload;
    command.close_input |= payload.empty();
    feed(command);
}

// ---- output and end of commands ---------------------------------------------------------------

// One piece of output, so that a busy writer starves nobody else. Returns false at the end of the
// stream.
bool forward(int fd, ToHost type, uint32_t id) {
    static std::array<char, max_payload> buffer;
    const ssize_t n = read(fd, buffer.data(), buffer.size());
    if (n > 0)
        send(type, id, {buffer.data(), static_cast<size_t>(n)});
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

// What a finished command left in a pipe. One full pipe at most: a background child may go on
// writing for ever.
void forward_rest(int fd, ToHost type, uint32_t id) {
    int waiting = 0;
    if (fd < 0 || ioctl(fd, FIONREAD, &waiting) != 0)
        return;
    std::array<char, max_payload> buffer;
    while (waiting > 0) {
        const ssize_t n =
            read(fd, buffer.data(), std::min(buffer.size(), static_cast<size_t>(waiting)));
        if (n <= 0)
            return;
        send(type, id, {buffer.data(), static_cast<size_t>(n)});
        waiting -= static_cast<int>(n);
    }
}

void finish(uint32_t id, int wait_status) {
    Command& command = commands.at(id);
    forward_rest(command.output, ToHost::output, id);
    forward_rest(command.error, ToHost::error, id);
    if (command.input >= 0)
        close(command.input);
    for (int fd : {command.output, command.error}) {
        if (fd >= 0 && !command.terminal)
            leftovers.push_back(fd);
        else if (fd >= 0)
            close(fd);
    }
    char status[4];
    put_u32(status, static_cast<uint32_t>(WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status)
                                                                   : WEXITSTATUS(wait_status)));
    send(ToHost::exited, id, {status, sizeof(status)});
    commands.erase(id);
}

void reap() {
    int status = 0;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        const auto found = std::find_if(commands.begin(), commands.end(), [pid](const auto& entry) {
            return entry.second.pid == pid;
        });
        if (found != commands.end())
            finish(found->first, status);
    }
}

bool drain(int fd) {
    std::array<char, 4096> buffer;
    const ssize_t n = read(fd, buffer.data(), buffer.size());
    if (n > 0 || (n < 0 && errno == EAGAIN))
        return true;
    close(fd);
    return false;
}

// ---- power off and diagnosis ------------------------------------------------------------------

std::vector<std::string> mount_points() {
    std::vector<std::string> points;
    if (FILE* mounts = std::fopen("/proc/mounts", "r")) {
        char source[4096], point[4096];
        while (std::fscanf(mounts, "%4095s %4095s %*[^\n]", source, point) == 2)
            points.emplace_back(point);
        std::fclose(mounts);
    }
    return points;
}

bool is_first_process() {
    return getpid() == 1;
}

// Units end in their order, this service among them.
void ask_systemd_to_power_off() {
    if (fork() == 0) {
        execlp("systemctl", "systemctl", "poweroff", "--no-block", nullptr);
        _exit(127);
    }
}

[[noreturn]] void power_off() {
    kill(-1, SIGTERM);
    // Processes that heed SIGTERM get a moment for it, for as long as any is left.
    for (int i = 0; i < 20 && waitpid(-1, nullptr, WNOHANG) >= 0; i++)
        usleep(50'000);
    kill(-1, SIGKILL);
    std::vector<std::string> points = mount_points();
    std::reverse(points.begin(), points.end());
    sync();
    for (const std::string& point : points) // what refuses is the root and the kernel's own
        umount2(point.c_str(), 0);
    sync();
    reboot(RB_POWER_OFF);
    die("power off");
}

// Blocked tasks and all CPUs to the console, for the host's account of a timeout.
void dump_tasks() {
    const int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);
    for (const char* key : {"l", "w"}) {
        if (write(fd, key, 1) != 1)
            break;
    }
    close(fd);
    send(ToHost::dumped, 0);
}

// ---- the port ---------------------------------------------------------------------------------

std::string find_port() {
    const std::string base = "/sys/class/virtio-ports/";
    std::string found;
    DIR* dir = opendir(base.c_str());
    if (dir == nullptr)
        return found;
    while (const dirent* entry = readdir(dir)) {
        char name[64] = "";
        const int fd = open((base + entry->d_name + "/name").c_str(), O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        if (read(fd, name, sizeof(name) - 1) > 0 && std::string_view(name).starts_with(port_name))
            found = std::string("/dev/") + entry->d_name;
        close(fd);
    }
    closedir(dir);
    return found;
}

void handle(Frame frame) {
    const auto type = static_cast<ToGuest>(frame.type);
    const auto found = commands.find(frame.id);
    if (type == ToGuest::run)
        start(frame.id, frame.payload);
    else if (type == ToGuest::dump)
        dump_tasks();
    else if (type == ToGuest::poweroff && !is_first_process())
        ask_systemd_to_power_off();
    else if (type == ToGuest::poweroff)
        power_off();
    else if (found == commands.end())
        return; // it ended while the frame was under way
    else if (type == ToGuest::input)
        take_input(found->second, frame.payload);
    else if (type == ToGuest::window)
        set_window(found->second.output, frame.payload.data());
    else if (type == ToGuest::signal)
        kill(-found->second.pid, static_cast<int>(get_u32(frame.payload.data())));
}

void read_port() {
    static std::string buffer;
    std::array<char, 65536> chunk;
    const ssize_t n = read(port, chunk.data(), chunk.size());
    if (n <= 0)
        return; // the host's end is not there; poll tells when it is
    buffer.append(chunk.data(), static_cast<size_t>(n));
    while (buffer.size() >= header_size) {
        const size_t length = get_u32(buffer.data() + 8);
        if (buffer.size() < header_size + length)
            return;
        Frame frame{static_cast<uint8_t>(buffer[0]), get_u32(buffer.data() + 4),
                    buffer.substr(header_size, length)};
        buffer.erase(0, header_size + length);
        handle(std::move(frame));
    }
}

// ---- the loop ---------------------------------------------------------------------------------

struct Watch {
    uint32_t id;
    ToHost type;
};

void watch_commands(std::vector<pollfd>& fds, std::vector<Watch>& watches) {
    for (auto& [id, command] : commands) {
        if (command.output >= 0) {
            fds.push_back({command.output, POLLIN, 0});
            watches.push_back({id, ToHost::output});
        }
        if (command.error >= 0) {
            fds.push_back({command.error, POLLIN, 0});
            watches.push_back({id, ToHost::error});
        }
    }
}

void serve_output(const std::vector<pollfd>& fds, const std::vector<Watch>& watches, size_t first) {
    for (size_t i = 0; i < watches.size(); i++) {
        if (fds[first + i].revents == 0)
            continue;
        Command& command = commands.at(watches[i].id);
        int& fd = watches[i].type == ToHost::output ? command.output : command.error;
        if (!forward(fd, watches[i].type, watches[i].id)) {
            close(fd);
            fd = -1;
        }
    }
}

void serve(int signals) {
    std::vector<pollfd> fds{{port, POLLIN, 0}, {signals, POLLIN, 0}};
    std::vector<Watch> watches;
    watch_commands(fds, watches);
    const size_t first_leftover = fds.size();
    for (int fd : leftovers)
        fds.push_back({fd, POLLIN, 0});
    for (auto& [id, command] : commands) {
        if (!command.pending.empty())
            fds.push_back({command.input, POLLOUT, 0});
    }
    if (poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR)
        die("poll");
    serve_output(fds, watches, 2);
    std::vector<int> open_leftovers;
    for (size_t i = 0; i < leftovers.size(); i++) {
        if (fds[first_leftover + i].revents == 0 || drain(leftovers[i]))
            open_leftovers.push_back(leftovers[i]);
    }
    leftovers.swap(open_leftovers);
    for (auto& [id, command] : commands) {
        if (!command.pending.empty())
            feed(command);
    }
    if (fds[1].revents != 0) {
        signalfd_siginfo info;
        if (read(signals, &info, sizeof(info)) > 0)
            reap();
    }
    if (fds[0].revents != 0)
        read_port();
}

} // namespace

int main() {
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigprocmask(SIG_BLOCK, &mask, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    const int signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    const std::string path = find_port();
    if (signals < 0 || path.empty())
        die("no virtio-serial port for the agent");
    port = open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (port < 0)
        die(path.c_str());
    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
    setenv("HOME", "/root", 1);
    // Without systemd no udev runs: but for this libdevmapper would leave the nodes in /dev/mapper
    // to it.
    if (is_first_process())
        setenv("DM_DISABLE_UDEV", "1", 1);
    send(ToHost::ready, 0);
    for (;;)
        serve(signals);
}
