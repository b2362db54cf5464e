// SPDX-License-Identifier: GPL-2.0-or-later
// Running another program.
#include "process.hpp"

#include "error.hpp"
#include "unique_fd.hpp"

#include <array>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>

namespace tiered {

namespace {

struct pipe_ends {
    unique_fd read_end;
    unique_fd write_end;
};

pipe_ends make_pipe() {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC))
        fail("cannot make a pipe: {}", errno_text(errno));
    return {unique_fd(fds[0]), unique_fd(fds[1])};
}

pid_t spawn(const std::vector<std::string>& arguments, int out_fd, int err_fd, int& spawn_error) {
    std::vector<char*> argv;
    for (const std::string& argument : arguments)
        argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);

    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, err_fd, STDERR_FILENO);
    pid_t pid = -1;
    spawn_error = ::posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    return pid;
}

/// Appends what is there to `text`; closes the end at end of file.
void drain(unique_fd& end, std::string& text) {
    std::array<char, 4096> buffer;
    const ssize_t got = ::read(end.get(), buffer.data(), buffer.size());
    if (got > 0)
        text.append(buffer.data(), static_cast<std::size_t>(got));
    else if (got == 0 || errno != EINTR)
        end = unique_fd();
}

void collect(unique_fd& out, unique_fd& err, command_result& result) {
    while (out || err) {
        // poll() skips the negative descriptor of an end that is closed.
        std::array<pollfd, 2> ends{pollfd{out.get(), POLLIN, 0}, pollfd{err.get(), POLLIN, 0}};
        if (::poll(ends.data(), ends.size(), -1) < 0 && errno != EINTR)
            fail("cannot wait for a program's output: {}", errno_text(errno));
        if (ends[0].revents)
            drain(out, result.out);
        if (ends[1].revents)
            drain(err, result.err);
    }
}

} // namespace

command_result run_command(const std::vector<std::string>& arguments) {
    pipe_ends out = make_pipe();
    pipe_ends err = make_pipe();
    int spawn_error = 0;
    const pid_t pid = spawn(arguments, out.write_end.get(), err.write_end.get(), spawn_error);
    out.write_end = unique_fd();
    err.write_end = unique_fd();

    command_result result;
    if (spawn_error) {
        result.status = 127;
        result.err = errno_text(spawn_error);
        return result;
    }
    collect(out.read_end, err.read_end, result);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return result;
}

} // namespace tiered
