// SPDX-License-Identifier: GPL-2.0-or-later
// Decodes what matters of an x86-64 instruction. What is not known here may store and may write
// every register.
#include "instruction.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <initializer_list>

namespace powercut {

namespace {

constexpr int rsp = 4;
constexpr int rbp = 5;

/// Opcode maps, as VEX numbers them; one_byte is no map there.
enum class opcode_map { one_byte = 0, map_0f = 1, map_0f38 = 2, map_0f3a = 3 };

constexpr std::uint16_t bit(int number) {
    return static_cast<std::uint16_t>(1u << number);
}

bool is_one_of(std::uint8_t value, std::initializer_list<std::uint8_t> list) {
    for (std::uint8_t one : list)
        if (one == value)
            return true;
    return false;
}

class decoder {
public:
    explicit decoder(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

    instruction run() {
        read_prefixes();
        read_opcode();
        if (has_modrm())
            read_modrm();
        if (short_)
            return {};
        judge();
        return result_;
    }

private:
    std::uint8_t next() {
        if (at_ >= bytes_.size()) {
            short_ = true;
            return 0;
        }
        return bytes_[at_++];
    }

    void read_prefixes() {
        for (;; at_++) {
            const std::uint8_t byte = at_ < bytes_.size() ? bytes_[at_] : 0;
            if (byte == 0x66)
                operand_size_ = true;
            else if (byte == 0xf2 || byte == 0xf3)
                repeat_ = true;
            else if (byte == 0xf0)
                lock_ = true;
            else if (byte == 0x64 || byte == 0x65)
                result_.address.plain = false;
            else if (byte == 0x67)
                result_.address.plain = false;
            else if (!is_one_of(byte, {0x2e, 0x36, 0x3e, 0x26}))
                return;
        }
    }

    void read_opcode() {
        std::uint8_t byte = next();
        if (byte >= 0x40 && byte <= 0x4f) {
            rex_ = byte;
            byte = next();
        }
        if (byte == 0xc5 || byte == 0xc4 || byte == 0x62)
            return read_vector_prefix(byte);
        if (byte != 0x0f) {
            opcode_ = byte;
            return;
        }
        map_ = opcode_map::map_0f;
        opcode_ = next();
        if (opcode_ == 0x38 || opcode_ == 0x3a) {
            map_ = opcode_ == 0x38 ? opcode_map::map_0f38 : opcode_map::map_0f3a;
            opcode_ = next();
        }
    }

    void read_vector_prefix(std::uint8_t first) {
        vector_ = true;
        const std::uint8_t second = next();
        map_ = opcode_map::map_0f;
        if (first == 0xc4) {
            map_ = static_cast<opcode_map>(second & 0x1f);
            next();
        } else if (first == 0x62) {
            map_ = static_cast<opcode_map>(second & 0x07);
            next();
            next();
        }
        opcode_ = next();
    }

    bool has_modrm() const {
        if (map_ != opcode_map::one_byte)
            return !(
                map_ == opcode_map::map_0f && !vector_ &&
                ((opcode_ >= 0x80 && opcode_ <= 0x8f) || (opcode_ >= 0xc8 && opcode_ <= 0xcf) ||
                 is_one_of(opcode_, {0x05, 0x06, 0x07, 0x08, 0x09, 0x0b, 0x30, 0x31, 0x32, 0x33,
                                     0x34, 0x35, 0x37, 0x77, 0xa0, 0xa1, 0xa2, 0xa8, 0xa9, 0xaa})));
        if (opcode_ < 0x40)
            return (opcode_ & 7) < 4;
        return (opcode_ >= 0x80 && opcode_ <= 0x8f) ||
               is_one_of(opcode_, {0x62, 0x63, 0x69, 0x6b}) ||
               is_one_of(opcode_, {0xc0, 0xc1, 0xc6, 0xc7, 0xd0, 0xd1, 0xd2, 0xd3, 0xf6, 0xf7, 0xfe,
                                   0xff}) ||
               (opcode_ >= 0xd8 && opcode_ <= 0xdf);
    }

    void read_modrm() {
        const std::uint8_t modrm = next();
        mod_ = modrm >> 6;
        reg_ = (modrm >> 3 & 7) | (rex_ & 4) << 1;
        rm_ = (modrm & 7) | (rex_ & 1) << 3;
        if (mod_ == 3)
            return;
        address_form& address = result_.address;
        address.base = rm_;
        if ((modrm & 7) == rsp)
            read_sib();
        else if (mod_ == 0 && (modrm & 7) == rbp) {
            address.base = no_register;
            address.rip_relative = true;
            read_displacement(4);
        }
        if (mod_ == 1)
            read_displacement(1);
        else if (mod_ == 2)
            read_displacement(4);
    }

    void read_sib() {
        sib_ = next();
        address_form& address = result_.address;
        const int index = (sib_ >> 3 & 7) | (rex_ & 2) << 2;
        address.scale = 1u << (sib_ >> 6);
        address.index = index == rsp ? no_register : index;
        address.base = (sib_ & 7) | (rex_ & 1) << 3;
        if (mod_ == 0 && (sib_ & 7) == rbp) {
            address.base = no_register;
            read_displacement(4);
        }
    }

    void read_displacement(unsigned bytes) {
        if (at_ + bytes > bytes_.size()) {
            short_ = true;
            return;
        }
        if (bytes == 1)
            result_.address.displacement = static_cast<std::int8_t>(bytes_[at_]);
        else
            std::memcpy(&result_.address.displacement, &bytes_[at_], bytes);
        at_ += bytes;
    }

    bool in_memory() const { return mod_ != 3; }
    bool no_prefix() const { return !operand_size_ && !repeat_; }

    void judge() {
        result_.what = find_meaning();
        if (result_.what == meaning::mark)
            result_.operation = static_cast<std::uint32_t>(result_.address.displacement) & 0xffff;
        if (vector_ || map_ != opcode_map::one_byte)
            judge_long();
        else
            judge_one_byte();
        if (lock_ || result_.what == meaning::nt_store)
            result_.may_store = true;
    }

    meaning find_meaning() const {
        if (lock_)
            return meaning::locked;
        if (map_ == opcode_map::one_byte && !vector_)
            return (opcode_ == 0x86 || opcode_ == 0x87) && in_memory() ? meaning::locked
                                                                       : meaning::other;
        if (map_ == opcode_map::map_0f)
            return find_meaning_0f();
        // movdiri and movdir64b: direct stores, ordered like those around the cache.
        if (map_ == opcode_map::map_0f38 && !vector_ && !repeat_ && in_memory() &&
            ((opcode_ == 0xf9 && !operand_size_) || (opcode_ == 0xf8 && operand_size_)))
            return meaning::nt_store;
        return meaning::other;
    }

    meaning find_meaning_0f() const {
        if (is_one_of(opcode_, {0x2b, 0xe7}) && in_memory() && !repeat_)
            return meaning::nt_store;
        if (vector_)
            return meaning::other;
        if (opcode_ == 0xc3 && in_memory() && no_prefix())
            return meaning::nt_store;
        if (opcode_ == 0x09)
            return meaning::whole_cache;
        if (opcode_ == 0xae)
            return find_meaning_0fae();
        if (opcode_ == 0x1f && is_mark())
            return meaning::mark;
        return meaning::other;
    }

    meaning find_meaning_0fae() const {
        const int extension = reg_ & 7;
        if (repeat_)
            return meaning::other;
        if (in_memory())
            return extension == 7 || (extension == 6 && operand_size_) ? meaning::flush
                                                                       : meaning::other;
        return (extension == 6 || extension == 7) && !operand_size_ ? meaning::fence
                                                                    : meaning::other;
    }

    bool is_mark() const {
        return no_prefix() && !rex_ && mod_ == 2 && reg_ == 0 && rm_ == rsp && sib_ == 0 &&
               (static_cast<std::uint32_t>(result_.address.displacement) & 0xffff0000) ==
                   mark_magic;
    }

    /// The register of a ModRM field; of a byte it may be ah, ch, dh or bh.
    std::uint16_t written_register(int number, bool byte) const {
        return static_cast<std::uint16_t>(bit(number) | (byte ? bit(number & 3) : 0));
    }

    void writes(std::uint16_t registers) { result_.written = registers; }

    /// Reads memory or registers and writes one register.
    void loads(int number, bool byte = false) {
        writes(written_register(number, byte));
        result_.may_store = false;
    }

    /// Writes its first operand: memory, or a register.
    void stores(bool byte) {
        result_.may_store = in_memory();
        result_.settles_registers = in_memory();
        writes(in_memory() ? 0 : written_register(rm_, byte));
    }

    void only_reads() {
        writes(0);
        result_.may_store = false;
    }

    void judge_one_byte() {
        const bool byte = !(opcode_ & 1);
        if (opcode_ < 0x40)
            return judge_arithmetic(byte);
        if (opcode_ >= 0xb0 && opcode_ <= 0xbf)
            return loads((opcode_ & 7) | (rex_ & 1) << 3, opcode_ < 0xb8);
        if (is_one_of(opcode_, {0x88, 0x89, 0xc0, 0xc1, 0xc6, 0xc7, 0xd0, 0xd1, 0xd2, 0xd3}))
            return stores(byte);
        if (is_one_of(opcode_, {0x80, 0x81, 0x83}))
            return (reg_ & 7) == 7 ? only_reads() : stores(opcode_ == 0x80);
        if (is_one_of(opcode_, {0x8a, 0x8b, 0x8d, 0x63, 0x69, 0x6b}))
            return loads(reg_, opcode_ == 0x8a);
        if (is_one_of(opcode_, {0x84, 0x85, 0x90, 0xa8, 0xa9, 0xe9, 0xeb}) ||
            (opcode_ >= 0x70 && opcode_ <= 0x7f))
            return only_reads();
        if (opcode_ >= 0x58 && opcode_ <= 0x5f)
            return loads_from_stack();
        if (is_one_of(opcode_, {0xc2, 0xc3}))
            result_.may_store = false;
    }

    void loads_from_stack() {
        writes(static_cast<std::uint16_t>(bit((opcode_ & 7) | (rex_ & 1) << 3) | bit(rsp)));
        result_.may_store = false;
    }

    /// add, or, adc, sbb, and, sub, xor and cmp in their six forms.
    void judge_arithmetic(bool byte) {
        const bool compares = opcode_ >= 0x38;
        switch (opcode_ & 7) {
        case 0:
        case 1:
            return compares ? only_reads() : stores(byte);
        case 2:
        case 3:
            return compares ? only_reads() : loads(reg_, byte);
        case 4:
        case 5:
            return compares ? only_reads() : loads(0);
        default: // not in 64-bit mode
            return;
        }
    }

    void judge_long() {
        if (map_ != opcode_map::map_0f)
            return;
        if (result_.what == meaning::flush || result_.what == meaning::fence ||
            result_.what == meaning::mark)
            return only_reads();
        if (is_one_of(opcode_, {0x11, 0x13, 0x17, 0x29, 0x2b, 0x7f, 0xd6, 0xe7}))
            return stores_vector();
        // Loads of vector registers and logic on them.
        if (is_one_of(opcode_, {0x10, 0x28, 0x57, 0x6f, 0xef}))
            return only_reads();
        if (vector_)
            return;
        if (opcode_ == 0xc3 && in_memory())
            return stores(false);
        if (opcode_ == 0x1f || opcode_ == 0x18 || opcode_ == 0x0d ||
            (opcode_ >= 0x80 && opcode_ <= 0x8f))
            return only_reads();
        if (is_one_of(opcode_, {0xaf, 0xb6, 0xb7, 0xbe, 0xbf}) ||
            (opcode_ >= 0x40 && opcode_ <= 0x4f))
            return loads(reg_);
    }

    void stores_vector() {
        writes(0);
        result_.may_store = in_memory();
        result_.settles_registers = in_memory();
    }

    std::span<const std::uint8_t> bytes_;
    std::size_t at_ = 0;
    bool short_ = false;
    bool operand_size_ = false;
    bool repeat_ = false;
    bool lock_ = false;
    bool vector_ = false;
    std::uint8_t rex_ = 0;
    opcode_map map_ = opcode_map::one_byte;
    std::uint8_t opcode_ = 0;
    int mod_ = 3;
    int reg_ = 0;
    int rm_ = 0;
    std::uint8_t sib_ = 0;
    instruction result_;
};

} // namespace

instruction decode(std::span<const std::uint8_t> bytes) {
    return decoder(bytes).run();
}

bool is_mark(std::span<const std::uint8_t> bytes) {
    constexpr std::array<std::uint8_t, 4> nop{0x0f, 0x1f, 0x84, 0x00};
    std::uint32_t operand = 0;
    if (bytes.size() != nop.size() + sizeof(operand) ||
        !std::ranges::equal(bytes.first(nop.size()), nop))
        return false;
    std::memcpy(&operand, &bytes[nop.size()], sizeof(operand));
    return (operand & 0xffff0000) == mark_magic;
}

std::uint16_t registers_of(const address_form& address) {
    std::uint16_t registers = 0;
    if (address.base != no_register)
        registers |= bit(address.base);
    if (address.index != no_register)
        registers |= bit(address.index);
    return registers;
}

bool registers_are_known(std::span<const instruction> block, std::size_t at, std::uint16_t needed) {
    while (at-- > 0) {
        if (block[at].written & needed)
            return false;
        if (block[at].settles_registers)
            return true;
    }
    return true;
}

} // namespace powercut
