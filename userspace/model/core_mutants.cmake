# SPDX-License-Identifier: GPL-2.0-or-later
# Faulty copies of driver/core, made from the real source by one replacement each. The checker must see every one.
# A replacement that no longer applies is a failing test: the list has to follow the source, but who only wants
# tierctl need not wait for that.

function(add_core_mutant name source find replacement)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${TIERED_CORE_DIR}/${source})
  file(READ ${TIERED_CORE_DIR}/${source} text)
  string(FIND "${text}" "${find}" first)
  string(FIND "${text}" "${find}" last REVERSE)
  if(first EQUAL -1 OR NOT first EQUAL last)
    set(complaint "mutant ${name}: its piece of driver/core/${source} is not there exactly once; bring "
                  "userspace/model/core_mutants.cmake up to date")
    list(JOIN complaint "" complaint)
    add_test(NAME model.mutant.${name} COMMAND sh -c "echo '${complaint}' >&2; exit 1")
    set_tests_properties(model.mutant.${name} PROPERTIES LABELS model)
    return()
  endif()
  string(REPLACE "${find}" "${replacement}" text "${text}")
  set(copy ${CMAKE_CURRENT_BINARY_DIR}/mutants/${name}.c)
  file(CONFIGURE OUTPUT ${copy} CONTENT "${text}" @ONLY)

  set(target tiered-model-${name})
  add_executable(${target} ${copy})
  target_link_libraries(${target} PRIVATE tiered_model tiered_options)
  # What a fault leaves unused is no news.
  target_compile_options(${target} PRIVATE -w)
  target_link_options(${target} PRIVATE -s)
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/mutants)
  add_test(NAME model.mutant.${name} COMMAND ${target} --expect-violation)
  set_tests_properties(model.mutant.${name} PROPERTIES LABELS model TIMEOUT 300)
endfunction()

add_core_mutant(publish-without-first-fence protocol.c
[[	reflush_clear(words, clear);
	tiered_pm_fence();

	store_word]]
[[	reflush_clear(words, clear);

	store_word]])
add_core_mutant(publish-without-reflush protocol.c
[[	reflush_clear(words, clear);
	tiered_pm_fence();

	store_word]]
[[	tiered_pm_fence();

	store_word]])
add_core_mutant(publish-without-flush protocol.c
[[	store_word(words, frame, claim);
	flush_word(words, frame);
	/* The write that]]
[[	store_word(words, frame, claim);
	/* The write that]])
add_core_mutant(publish-without-last-fence protocol.c
[[is acknowledged next. */
	tiered_pm_fence();]]
[[is acknowledged next. */]])
add_core_mutant(supersede-forgets protocol.c
[[	clear_word(words, frame);
	clear->unfenced_frame = frame;]]
[[	clear_word(words, frame);]])
add_core_mutant(withdraw-without-middle-fence protocol.c
[[	if (reflush_clear(words, clear))
		tiered_pm_fence();
	clear_word]]
[[	reflush_clear(words, clear);
	clear_word]])
add_core_mutant(withdraw-without-reflush protocol.c
[[	if (reflush_clear(words, clear))
		tiered_pm_fence();
	clear_word]]
[[	clear_word]])
add_core_mutant(withdraw-without-last-fence protocol.c
[[after a crash. */
	tiered_pm_fence();]]
[[after a crash. */]])
add_core_mutant(settle-without-flush protocol.c
[[		flush_word(words, frames[i]);
	tiered_pm_fence();]]
[[		;
	tiered_pm_fence();]])
add_core_mutant(settle-without-fence protocol.c
[[		flush_word(words, frames[i]);
	tiered_pm_fence();]]
[[		flush_word(words, frames[i]);]])
add_core_mutant(close-without-fence protocol.c
[[	if (reflush_clear(words, clear))
		tiered_pm_fence();
}]]
[[	reflush_clear(words, clear);
}]])
add_core_mutant(clear-without-flush protocol.c
[[	store_word(words, frame, free);
	flush_word(words, frame);]]
[[	store_word(words, frame, free);]])
# As if the clear were a non-temporal store, which no other CPU can drain.
add_core_mutant(clear-around-the-cache protocol.c
[[	store_word(words, frame, free);
	flush_word(words, frame);]]
[[	extern void model_pm_store_around(__le64 *word, __le64 value);
	model_pm_store_around(&words->primary[frame], tiered_claim_encode(free, frame, words->seed));
	model_pm_store_around(&words->shadow[frame], tiered_claim_encode(free, frame, words->seed));]])
add_core_mutant(store-without-shadow protocol.c
[[	if (!tiered_word_is_bad(words->bad_shadow, frame))
		tiered_pm_store(&words->shadow[frame], word);]]
[[]])
add_core_mutant(flush-without-shadow protocol.c
[[	tiered_pm_flush(&words->primary[frame]);
	tiered_pm_flush(&words->shadow[frame]);]]
[[	tiered_pm_flush(&words->primary[frame]);]])
add_core_mutant(restore-without-flush protocol.c
[[		tiered_pm_flush(&words->shadow[frame]);
		stored]]
[[		stored]])
add_core_mutant(restore-without-fence protocol.c
[[	if (stored)
		tiered_pm_fence();]]
[[]])
add_core_mutant(restore-stores-to-a-bad-shadow protocol.c
[[copies->shadow[i] == copies->primary[i] || tiered_word_is_bad(words->bad_shadow, frame) ||]]
[[copies->shadow[i] == copies->primary[i] ||]])
add_core_mutant(restore-believes-a-bad-word protocol.c
[[ ||
		    tiered_claim_decode(copies->primary[i], frame, words->seed, words->pages, &claim))]]
[[)]])
add_core_mutant(store-to-a-bad-word protocol.c
[[	if (!tiered_word_is_bad(words->bad_primary, frame))
		tiered_pm_store]]
[[	tiered_pm_store]])
add_core_mutant(lost-without-flush protocol.c
[[	flush_word(words, frame);
	/* Whoever was told]]
[[	/* Whoever was told]])
add_core_mutant(lost-without-fence protocol.c
[[older contents when the power comes back. */
	tiered_pm_fence();]]
[[older contents when the power comes back. */]])
add_core_mutant(dirty-without-flush protocol.c
[[	flush_word(words, frame);
	/* Whoever stores]]
[[	/* Whoever stores]])
add_core_mutant(dirty-without-fence protocol.c
[[find it under a clean claim. */
	tiered_pm_fence();]]
[[find it under a clean claim. */]])
add_core_mutant(load-keeps-nothing-lost load.c
[[	lost.state = TIERED_CLAIM_LOST;
]]
[[]])
add_core_mutant(reflush-remembers-nothing protocol.c
[[	flush_word(words, clear->unfenced_frame);
	clear->unfenced_frame]]
[[	clear->unfenced_frame]])
add_core_mutant(compare-backwards claim.c
[[	case 1:
		return TIERED_CLAIM_NEWER;]]
[[	case 1:
		return TIERED_CLAIM_OLDER;]])
add_core_mutant(load-keeps-the-first load.c
[[		ops->hold(context, frame, claim, holder);
]]
[[]])
add_core_mutant(load-ignores-shadows load.c
[[	bool unknown = tiered_claim_decode(shadow, frame, words->seed, words->pages, &claim);]]
[[	bool unknown = false;]])
add_core_mutant(load-serves-an-older-claim load.c
[[(holder != TIERED_NO_FRAME && tiered_claim_compare(&held, claim) == TIERED_CLAIM_NEWER)]]
[[holder != TIERED_NO_FRAME]])
add_core_mutant(load-serves-the-home load.c
[[(holder == TIERED_NO_FRAME && claim->state == TIERED_CLAIM_CLEAN)]]
[[holder == TIERED_NO_FRAME]])
