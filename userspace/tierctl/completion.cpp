// SPDX-License-Identifier: GPL-2.0-or-later
// tierctl completion: what the scripts for bash and zsh (userspace/completion) have to know, made
// out of the very tree of verbs and options that parses the command line, so that none can be
// forgotten.
#include "error.hpp"
#include "verbs.hpp"

#include <memory>
#include <string>
#include <vector>

namespace tierctl {

namespace {

using namespace tiered;

/// What stands for a value: decides what a shell offers.
const char* kind_of(const std::string& name) {
    if (name == "NAME")
        return "volumes";
    if (name == "CAPACITY" || name == "DEVICE" || name == "--fast" || name == "--capacity")
        return "devices";
    return "files";
}

struct described_option {
    std::string name; ///< "--json", or the name of a positional argument
    std::string text;
    bool positional = false;
    bool takes_value = false;
};

struct described_verb {
    std::string name;
    std::string text;
    std::vector<described_option> options;

    /// What words without a dash may be.
    std::string positional_kinds() const {
        std::string kinds;
        for (const described_option& option : options)
            if (option.positional)
                kinds += fmt::format(" {}", kind_of(option.name));
        return kinds;
    }
};

described_verb described(const CLI::App& verb) {
    described_verb out{verb.get_name(), verb.get_description(), {}};
    for (const CLI::Option* option : verb.get_options()) {
        const bool positional = option->get_lnames().empty();
        out.options.push_back(
            {positional ? option->get_single_name() : "--" + option->get_lnames()[0],
             option->get_description(), positional, option->get_items_expected_max() > 0});
    }
    return out;
}

std::vector<described_verb> shown_verbs(const CLI::App& app) {
    std::vector<described_verb> verbs;
    for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; }))
        if (!verb->get_group().empty())
            verbs.push_back(described(*verb));
    return verbs;
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
    for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
        text.replace(at, what.size(), with);
    return text;
}

void print_bash(const std::vector<described_verb>& verbs) {
    std::string names;
    std::string cases;
    for (const described_verb& verb : verbs) {
        names += " " + verb.name;
        std::string options;
        std::string values;
        for (const described_option& option : verb.options) {
            if (option.positional)
                continue;
            options += " " + option.name;
            if (option.takes_value)
                values += fmt::format(" {}:{}", option.name, kind_of(option.name));
        }
        cases += fmt::format("    {}) options='{}' values='{} ' words='{}' ;;\n", verb.name,
                             options.substr(1), values, verb.positional_kinds());
    }
    fmt::print("# Made by: tierctl completion bash\n"
               "_tierctl_verbs='--help --version{}'\n"
               "_tierctl_describe() {{\n    case $1 in\n{}    *) return 1 ;;\n    esac\n}}\n",
               names, cases);
}

/// Text inside a specification of zsh's _arguments or _describe, in single quotes.
std::string zsh_text(std::string text) {
    for (const char* special : {"\\", "[", "]", ":"})
        text = replaced(text, special, std::string("\\") + special);
    return replaced(text, "'", "'\\''");
}

std::string zsh_action(const char* kind) {
    return std::string_view(kind) == "files" ? "files:_files"
                                             : fmt::format("{0}:_tierctl_{0}", kind);
}

std::string zsh_option(const described_option& option) {
    if (option.positional)
        return fmt::format("'*:{}'", zsh_action(kind_of(option.name)));
    const std::string value =
        option.takes_value ? ":" + zsh_action(kind_of(option.name)) : std::string();
    return fmt::format("'{}[{}]{}'", option.name, zsh_text(option.text), value);
}

void print_zsh(const std::vector<described_verb>& verbs) {
    std::string names;
    std::string cases;
    for (const described_verb& verb : verbs) {
        names += fmt::format("        '{}:{}'\n", verb.name, zsh_text(verb.text));
        cases += fmt::format("    {}) _arguments", verb.name);
        bool has_positional = false;
        for (const described_option& option : verb.options) {
            if (option.positional && has_positional)
                continue;
            has_positional |= option.positional;
            cases += " \\\n        " + zsh_option(option);
        }
        cases += " ;;\n";
    }
    fmt::print("#compdef tierctl\n# Made by: tierctl completion zsh\n"
               "_tierctl_verbs=(\n{})\n"
               "_tierctl_arguments() {{\n    case $1 in\n{}    esac\n}}\n",
               names, cases);
}

int print_completion(const CLI::App& app, const std::string& shell) {
    const std::vector<described_verb> verbs = shown_verbs(app);
    if (shell == "bash")
        print_bash(verbs);
    else if (shell == "zsh")
        print_zsh(verbs);
    else
        fail("there is no completion for '{}'; choose bash or zsh", shell);
    return 0;
}

} // namespace

void add_completion(CLI::App& app, action& chosen) {
    auto shell = std::make_shared<std::string>();
    CLI::App* verb = app.add_subcommand("completion", "Print what completes this command");
    verb->group("");
    verb->add_option("SHELL", *shell, "bash or zsh")->required();
    verb->callback([shell, &app, &chosen] {
        chosen = [shell, &app] { return print_completion(app, *shell); };
    });
}

} // namespace tierctl
