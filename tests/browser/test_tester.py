"""The API tester, from a dropped file to a downloaded result."""

import asyncio
import base64
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from axe_playwright_python.async_playwright import Axe
from numpy.typing import NDArray
from PIL import Image
from tests.running import running_service

Person = Any
NewPerson = Callable[..., Awaitable[Person]]
Screenshot = Callable[[Any, str], Awaitable[None]]

pytestmark = pytest.mark.browser

SAMPLES = Path(__file__).parents[2] / "src" / "mien" / "samples"
DROP = """([name, data]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type: "image/jpeg" }));
  return transfer;
}"""


BOXED = """(dropped) => new Promise((done) => {
  const place = document.querySelector("[data-slot=image]");
  if (!place.querySelector("[data-chosen]").hidden) place.querySelector("[data-change]").click();
  const began = performance.now();
  new MutationObserver((_, observer) => {
    if (!place.querySelector(".face")) return;
    observer.disconnect();
    requestAnimationFrame(() => done(performance.now() - began));
  }).observe(place, { childList: true, subtree: true });
  place.dispatchEvent(new DragEvent("drop", { dataTransfer: dropped, bubbles: true, cancelable: true }));
})"""
BOXED_WITHIN = 1000  # milliseconds
WAYS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True},
}


@pytest.fixture(scope="module")
def demo_service() -> Iterator[str]:
    """A service that may be tried without an account, twice a day."""
    folder = Path(tempfile.mkdtemp(prefix="mien-test-"))
    folder.chmod(0o711)
    changes = {"DEMO": "yes", "DEMO_SWAPS_PER_ADDRESS": "2", "TRUSTED_PROXIES": "127.0.0.1"}
    with running_service(folder, SIGNUP="open", LOG_LEVEL="warning", **changes) as address:
        yield address
    shutil.rmtree(folder)


def jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.convert("RGB").save(file, "JPEG", quality=95)
    return file.getvalue()


def pixels(data: bytes) -> NDArray[np.float64]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float64)


def two_people() -> bytes:
    """A picture of two: the larger face on the right."""
    canvas = Image.new("RGB", (1400, 1000), "white")
    canvas.paste(Image.open(SAMPLES / "man.jpg").resize((600, 600)), (0, 400))
    canvas.paste(Image.open(SAMPLES / "woman.jpg").resize((800, 800)), (600, 100))
    return jpeg(canvas)


async def drop(person: Person, slot: str, name: str, data: bytes) -> None:
    transfer = await person.page.evaluate_handle(DROP, [name, base64.b64encode(data).decode()])
    await person.page.locator(f"[data-slot={slot}]").dispatch_event("drop", {"dataTransfer": transfer})


async def swap(person: Person) -> dict[str, Any]:
    """Confirm and send, wait for the result, and give the task as it was answered."""
    await person.page.get_by_label("The people in these pictures agree").check()
    await person.page.locator("[data-send]").click()
    await person.page.locator("[data-result-picture]").wait_for()
    await person.page.get_by_text("What was answered").click()
    answer: dict[str, Any] = json.loads(await person.page.locator(".raw pre").nth(1).inner_text())
    return answer


async def problem(person: Person, place: str) -> str:
    shown = person.page.locator(f"{place} > [data-problem]:visible")
    await shown.wait_for()
    return str(await shown.inner_text())


async def test_from_signing_up_over_a_key_to_a_downloaded_result(person: Person, tmp_path: Path) -> None:
    page = person.page
    await person.sign_up()
    key = await person.make_key()
    await page.get_by_role("button", name="Sign out").first.click()
    await page.wait_for_url(f"{person.address}/")
    await person.go("/try")
    await page.get_by_label("API key").fill(key)
    target = (SAMPLES / "park.jpg").read_bytes()
    await drop(person, "image", "scene.jpg", target)
    await drop(person, "face_image", "face.jpg", (SAMPLES / "woman.jpg").read_bytes())
    for slot in ("image", "face_image"):
        await page.locator(f"[data-slot={slot}] .face").wait_for()
    assert await page.locator("[data-code=curl]").inner_text() == (
        f"curl '{person.address}/api/v1/images/tools/face-swap' \\\n"
        f"  -H 'Authorization: Bearer {key}' \\\n"
        "  -F model=face-swap \\\n  -F target_index=0 \\\n  -F output_format=png \\\n"
        "  -F 'image=@\"scene.jpg\"' \\\n  -F 'face_image=@\"face.jpg\"'"
    )
    task = await swap(person)
    async with page.expect_download() as started:
        await page.get_by_role("link", name="Download").click()
    download = await started.value
    assert download.suggested_filename == "face-swap.png"
    await download.save_as(tmp_path / "result.png")
    result = (tmp_path / "result.png").read_bytes()
    assert hashlib.sha256(result).hexdigest() == task["output"]["sha256"]
    found = await page.locator("[data-slot=image] .face").evaluate("(face) => face.style.cssText")
    assert "left" in found
    changed = np.abs(pixels(result) - pixels(target)).max(axis=2)
    top, left, bottom, right = 150, 230, 620, 640  # around the face, generously
    assert changed[top + 100 : bottom - 150, left + 100 : right - 100].mean() > 8
    outside = changed.copy()
    outside[top:bottom, left:right] = 0
    assert outside.mean() < 2, "more than the face was changed"


async def test_one_of_several_faces_is_chosen_by_clicking_it(person: Person) -> None:
    page = person.page
    await person.sign_up()
    await person.go("/try")
    target = two_people()
    await drop(person, "image", "two.jpg", target)
    await page.locator("[data-slot=face_image] [data-sample=man]").click()
    faces = page.locator("[data-slot=image] .face")
    await faces.nth(1).wait_for()
    await page.locator("[data-slot=face_image] .face").wait_for()
    assert await faces.count() == 2
    assert await faces.nth(0).get_attribute("aria-pressed") == "true"
    await page.get_by_text("JPG", exact=True).click()
    await page.get_by_label("Quality").fill("90")
    await page.locator("[data-slot=face_image]").get_by_role("button", name="Change").click()
    await page.locator("[data-slot=face_image] [data-sample=woman]").click()
    await faces.nth(1).focus()
    await page.keyboard.press("Enter")
    assert await faces.nth(1).get_attribute("aria-pressed") == "true"
    assert "target_index=1" in await page.locator("[data-code=curl]").inner_text()
    task = await swap(person)
    assert (task["output"]["format"], task["credits"]["charged"]) == ("jpg", 3)
    async with httpx.AsyncClient() as client:
        data = (await client.get(task["output"]["image_url"])).content
    changed = np.abs(pixels(data) - pixels(target)).max(axis=2)
    assert changed[550:850, 200:400].mean() > 8, "the left face is another"
    assert changed[200:700, 800:1200].mean() < 4, "the right one is as it was"


async def test_faces_are_boxed_within_a_second(person: Person) -> None:
    page = person.page
    await person.sign_up()
    await person.go("/try")
    await asyncio.sleep(4)  # as long as it takes to find a picture; meanwhile a detector starts
    target = Image.open(SAMPLES / "park.jpg")
    took = []
    for size in ((2000, 2982), (805, 1200), (2000, 2982)):
        data = base64.b64encode(jpeg(target.resize(size))).decode()
        dropped = await page.evaluate_handle(DROP, ["scene.jpg", data])
        took.append(await page.evaluate(BOXED, dropped))
    print(f"\nboxes: {took[0]:.0f} ms for the first picture, then {took[1]:.0f} and {took[2]:.0f} ms")  # noqa: T201
    assert min(took[0], took[2]) <= BOXED_WITHIN
    assert took[1] <= BOXED_WITHIN


class TestSeveralFaces:
    async def test_each_gets_a_picture_of_its_own_by_the_keyboard(self, person: Person) -> None:
        page = person.page
        await person.sign_up()
        await person.go("/try")
        target = two_people()
        await drop(person, "image", "two.jpg", target)
        boxes = page.locator("[data-slot=image] .face")
        await boxes.nth(1).wait_for()
        places = page.locator("[data-slot=face_image]")
        await page.get_by_label("Change several faces at once").focus()
        await page.keyboard.press("Space")
        assert await places.count() == 1
        await boxes.nth(0).press("Enter")  # the only one that is chosen stays
        await boxes.nth(1).press("Enter")
        assert [await boxes.nth(number).get_attribute("aria-pressed") for number in (0, 1)] == ["true"] * 2
        titles = ["The face for number 0", "The face for number 1"]
        assert await places.get_by_role("heading").all_inner_texts() == titles
        assert await page.locator("[data-send-hint]").inner_text() == "6 credits for 2 faces, if it works"
        for title, sample in zip(titles, ("man", "woman"), strict=True):
            place = page.get_by_role("region", name=title)
            await place.locator(f"[data-sample={sample}]").press("Enter")
            await place.locator(".face").wait_for()
        shown = json.loads(await page.locator("[data-code=json]").text_content() or "")
        samples = f"{person.address}/samples"
        assert shown["swaps"] == [
            {"face_image": f"{samples}/man.jpg", "target_index": 0},
            {"face_image": f"{samples}/woman.jpg", "target_index": 1},
        ]
        assert "target_index" not in shown
        assert "'swaps[1].face_image=" in await page.locator("[data-code=curl]").inner_text()
        task = await swap(person)
        assert task["credits"]["charged"] == 6
        headings = page.locator(".assessment h3")
        assert await headings.all_inner_texts() == ["Face 0", "Face 1"]
        async with httpx.AsyncClient() as client:
            data = (await client.get(task["output"]["image_url"])).content
        changed = np.abs(pixels(data) - pixels(target)).max(axis=2)
        assert changed[550:850, 200:400].mean() > 8
        assert changed[300:600, 900:1100].mean() > 8

    async def test_what_is_wrong_is_said_at_the_face_that_it_is_about(self, person: Person) -> None:
        page = person.page
        await person.sign_up()
        person.expected = ["status of 400"]
        await person.go("/try")
        await drop(person, "image", "two.jpg", two_people())
        await page.get_by_label("Change several faces at once").check()
        await page.locator("[data-slot=image] .face").nth(1).click()
        first, second = (page.locator("[data-slot=face_image]").nth(number) for number in (0, 1))
        await first.locator("[data-sample=man]").click()
        await page.locator("[data-send]").click()
        assert "Choose the face first" in await second.locator("[data-problem]").inner_text()
        await second.locator("input[type=file]").first.set_input_files(
            {
                "name": "noise.jpg",
                "mimeType": "image/jpeg",
                "buffer": jpeg(Image.effect_noise((400, 400), 50)),
            }
        )
        await second.get_by_text("No face was found").wait_for()
        await page.get_by_label("The people in these pictures agree").check()
        await page.locator("[data-send]").click()
        await page.get_by_text("What was answered").click()
        assert "swaps[1].face_image" in await page.locator(".raw pre").nth(1).inner_text()
        assert await second.locator("[data-problem]").is_visible()
        assert await first.locator("[data-problem]").is_hidden()

    async def test_one_that_is_no_longer_chosen_goes_with_its_picture(self, person: Person) -> None:
        page = person.page
        await person.sign_up()
        await person.go("/try")
        await drop(person, "image", "two.jpg", two_people())
        await page.get_by_label("Change several faces at once").check()
        boxes, places = page.locator("[data-slot=image] .face"), page.locator("[data-slot=face_image]")
        await boxes.nth(1).click()
        await places.nth(1).locator("[data-sample=woman]").click()
        await boxes.nth(0).click()
        assert await places.get_by_role("heading").all_inner_texts() == ["The face"]
        shown = json.loads(await page.locator("[data-code=json]").text_content() or "")
        assert (shown["target_index"], shown["face_image"]) == (1, f"{person.address}/samples/woman.jpg")

    async def test_several_pictures_of_one_person(self, person: Person) -> None:
        page = person.page
        await person.sign_up()
        await person.go("/try")
        await page.locator("[data-slot=image] [data-sample=park]").click()
        place = page.locator("[data-slot=face_image]")
        await place.locator("[data-sample=man]").click()
        await place.locator("[data-more]").set_input_files([SAMPLES / "man.jpg", SAMPLES / "cafe.jpg"])
        assert await place.locator("[data-views] li").count() == 2
        await place.get_by_role("button", name="Remove cafe.jpg").click()
        assert await page.locator("[data-code=curl]").inner_text() == (
            f"curl '{person.address}/api/v1/images/tools/face-swap' \\\n"
            "  -H 'Authorization: Bearer YOUR_KEY' \\\n"
            "  -F model=face-swap \\\n  -F target_index=0 \\\n  -F output_format=png \\\n"
            f"  -F 'image={person.address}/samples/park.jpg' \\\n"
            f"  -F 'face_images={person.address}/samples/man.jpg' \\\n  -F 'face_images=@\"man.jpg\"'"
        )
        task = await swap(person)
        assert sorted(task["report"]["pictures"]) == [0, 1]

    async def test_the_code_that_is_shown_sends_the_same(self, person: Person, tmp_path: Path) -> None:
        page = person.page
        await person.sign_up()
        key = await person.make_key()
        await page.get_by_role("button", name="Sign out").first.click()
        await page.wait_for_url(f"{person.address}/")
        await person.go("/try")
        await page.get_by_label("API key").fill(key)
        (tmp_path / "two.jpg").write_bytes(two_people())
        (tmp_path / "it's me.jpg").write_bytes((SAMPLES / "man.jpg").read_bytes())
        await page.locator("#image-file").set_input_files(tmp_path / "two.jpg")
        await page.get_by_label("Change several faces at once").check()
        await page.locator("[data-slot=image] .face").nth(1).click()
        first, second = (page.locator("[data-slot=face_image]").nth(number) for number in (0, 1))
        await first.locator("[data-file]").set_input_files(tmp_path / "it's me.jpg")
        await first.locator("[data-more]").set_input_files(tmp_path / "it's me.jpg")
        await second.locator("[data-sample=woman]").click()
        await page.get_by_label("The people in these pictures agree").check()
        code = {name: await page.locator(f"[data-code={name}]").text_content() for name in ("curl", "python")}
        for command in (["sh", "-c", code["curl"]], [sys.executable, "-c", code["python"]]):
            ended = await asyncio.to_thread(
                subprocess.run, command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
            )
            assert "_faceswap" in ended.stdout, ended.stdout + ended.stderr
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(headers=headers) as client:
            tasks = (await client.get(f"{person.address}/api/v1/tasks")).json()["data"]["tasks"]
        assert [task["credits"]["held"] + task["credits"]["charged"] for task in tasks] == [6, 6]

    @pytest.mark.parametrize("way", WAYS)
    async def test_it_fits_and_can_be_used_by_everybody(
        self, new_person: NewPerson, screenshot: Screenshot, way: str
    ) -> None:
        person = await new_person(**WAYS[way])
        page = person.page
        await person.sign_up()
        await person.go("/try")
        await drop(person, "image", "two.jpg", two_people())
        await page.get_by_label("Change several faces at once").check()
        await page.locator("[data-slot=image] .face").nth(1).click()
        for number, sample in enumerate(("man", "woman")):
            await (
                page.locator(f"[data-slot=face_image] >> nth={number}")
                .locator(f"[data-sample={sample}]")
                .click()
            )
        await page.locator("[data-slot=face_image] [data-more]").first.set_input_files(SAMPLES / "cafe.jpg")
        await swap(person)
        width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await page.evaluate(width) == 0
        await screenshot(page, f"try-several-{way}")
        results = (await Axe().run(page)).response
        assert [
            (fault["id"], [node["target"] for node in fault["nodes"]][:3])
            for fault in results["violations"]
            if fault["impact"] in ("serious", "critical")
        ] == []


async def test_options_are_in_the_request_and_in_the_result(person: Person) -> None:
    page = person.page
    await person.sign_up()
    await person.go("/try")
    await page.locator("[data-slot=image] [data-sample=park]").click()
    await page.locator("[data-slot=face_image] [data-sample=woman]").click()
    await page.get_by_label("Small visible label").check()
    await page.get_by_label("Camera data").select_option("Keep it, without the place")
    await page.get_by_label("Longest side").fill("400")
    task = await swap(person)
    sent = json.loads(await page.locator(".raw pre").nth(0).text_content() or "")
    assert (sent["label"], sent["exif"], sent["max_size"]) == (True, "keep", 400)
    assert sent["consent"] == "The people in these pictures agree to this swap, or do not exist."
    assert max(task["output"]["width"], task["output"]["height"]) == 400


class TestWithoutAnAccount:
    async def test_a_swap_is_made_and_belongs_to_this_browser(
        self, new_person: NewPerson, demo_service: str, screenshot: Screenshot
    ) -> None:
        person = await new_person()
        person.address = demo_service
        page = person.page
        await person.go("/try")
        assert await page.get_by_role("heading", name="No account needed").is_visible()
        assert await page.locator("[data-address]").first.is_hidden()
        assert await page.locator("[data-send-hint]").inner_text() == "Free in the demo"
        await drop(person, "image", "scene.jpg", (SAMPLES / "park.jpg").read_bytes())
        await page.locator("[data-slot=face_image] [data-sample=woman]").click()
        await page.locator("[data-slot=image] .face").wait_for()
        task = await swap(person)
        assert max(task["output"]["width"], task["output"]["height"]) == 1024
        assert task["credits"]["charged"] == 0
        assert "aio_" not in (await page.content()).replace('placeholder="aio_', "")
        await screenshot(page, "try-demo")
        stranger = await new_person()
        stranger.address = demo_service
        stranger.expected = ["status of 404"]
        await stranger.go("/try")
        read = "(id) => fetch(`/demo/tasks/${id}`).then((answer) => answer.status)"
        assert await stranger.page.evaluate(read, task["task_id"]) == 404
        assert await page.evaluate(read, task["task_id"]) == 200

    async def test_who_has_used_it_up_is_invited(
        self, new_person: NewPerson, demo_service: str, screenshot: Screenshot
    ) -> None:
        person = await new_person()
        person.address = demo_service
        person.expected = ["status of 429"]
        page = person.page
        await person.go("/try")
        await page.locator("[data-slot=image] [data-sample=park]").click()
        await page.locator("[data-slot=face_image] [data-sample=woman]").click()
        for _ in range(2):
            await swap(person)
        await page.locator("[data-send]").click()
        assert "The demo gives no more swaps today. Sign up to go on" in await problem(person, ".send")
        await screenshot(page, "try-demo-used-up")
        await page.get_by_role("link", name="Sign up to go on").click()
        await page.wait_for_url("**/sign-up")

    async def test_a_key_counts_more(self, new_person: NewPerson, demo_service: str) -> None:
        person = await new_person()
        person.address = demo_service
        person.expected = ["status of 401"]
        page = person.page
        await person.go("/try")
        await page.get_by_text("Use a key, or sign in").click()
        await page.get_by_label("API key").fill("aio_wrong")
        await page.get_by_label("API key").blur()
        assert await page.locator("[data-send-hint]").inner_text() == "3 credits, if it works"
        assert await page.locator("[data-address]").first.is_visible()
        await page.locator("[data-slot=image] [data-sample=park]").click()
        await page.locator("[data-slot=face_image] [data-sample=woman]").click()
        await page.get_by_label("The people in these pictures agree").check()
        await page.locator("[data-send]").click()
        assert "API key is not valid" in await problem(person, "[data-key-row]")


async def test_warnings_are_in_the_language_of_the_page(person: Person) -> None:
    page = person.page
    await person.sign_up()
    await page.context.add_cookies([{"name": "mien_language", "value": "es", "url": person.address}])
    await person.go("/try")
    await page.locator("[data-slot=image] [data-sample=park]").click()
    place = page.locator("[data-slot=face_image]")
    await place.locator("[data-sample=man]").click()
    await place.locator("[data-more]").set_input_files([SAMPLES / "man.jpg", SAMPLES / "woman.jpg"])
    await page.locator("[data-consent]").check()
    await page.locator("[data-send]").click()
    await page.locator("[data-result-picture]").wait_for()
    warnings = await page.locator(".assessment .warning").inner_text()
    assert "La foto de cara 3 parece mostrar a otra persona. No se usó." in warnings


async def test_pasting_the_camera_and_samples(person: Person) -> None:
    page = person.page
    await person.sign_up()
    await person.go("/try")
    data = base64.b64encode((SAMPLES / "cafe.jpg").read_bytes()).decode()
    transfer = await page.evaluate_handle(DROP, ["", data])
    await page.evaluate(
        "(clipboardData) => document.dispatchEvent(new ClipboardEvent('paste', { clipboardData }))", transfer
    )
    await page.locator("[data-slot=image] .face").wait_for()
    assert "pasted.jpeg" in await page.locator("[data-slot=image] [data-caption]").inner_text()
    await page.locator("[data-slot=face_image] [data-camera]").click()
    await page.get_by_role("button", name="Take it").click()
    # The browser's own test pattern, in which nobody is.
    assert "No face was found" in await problem(person, "[data-slot=face_image]")
    await page.locator("[data-slot=face_image]").get_by_role("button", name="Change").click()
    await page.locator("[data-slot=face_image] [data-sample=man]").click()
    await page.locator("[data-slot=face_image] .face").wait_for()
    code = json.loads(await page.locator("[data-code=json]").text_content() or "")
    assert code["face_image"] == f"{person.address}/samples/man.jpg"
    assert code["image"].startswith("data:image/jpeg;base64,")


async def test_the_result_can_be_compared_enlarged_and_found_again(person: Person) -> None:
    page = person.page
    await person.sign_up()
    await person.go("/try")
    await page.locator("[data-slot=image] [data-sample=park]").click()
    await page.locator("[data-slot=face_image] [data-sample=woman]").click()
    stages: list[str] = []
    await page.expose_function("seen", lambda stage: stages.append(stage))
    await page.evaluate(
        """() => new MutationObserver(() => {
          const now = document.querySelector("[data-stages] [aria-current]");
          if (now) window.seen(now.textContent);
        }).observe(document.querySelector("[data-stages]"), { childList: true })"""
    )
    await swap(person)
    assert stages[0] == "Waiting for its turn"
    assert "Swapping" in stages
    slider = page.locator("[data-outcome] input[type=range]")
    await slider.focus()
    await page.keyboard.press("End")
    assert await slider.input_value() == "100"
    edge = "(frame) => frame.style.getPropertyValue('--edge')"
    assert await page.locator("[data-outcome] .compare").evaluate(edge) == "100%"
    await page.get_by_role("button", name="Full size").click()
    width = await page.locator(".zoom-frame img").evaluate("(image) => image.naturalWidth")
    assert width == await page.locator(".zoom-frame img").evaluate("(image) => image.width") == 805
    await page.keyboard.press("Escape")
    await person.go("/try")
    entry = page.locator("[data-entries] li")
    assert "woman.jpg in park.jpg" in await entry.inner_text()
    async with page.context.expect_page() as opened:
        await entry.get_by_role("link", name="Open").click()
    assert "/files/" in (await opened.value).url
    await page.get_by_role("button", name="Forget all").click()
    assert await page.locator("[data-history]").is_hidden()


class TestWhatGoesWrong:
    async def test_is_said_where_it_belongs(self, person: Person) -> None:
        page = person.page
        person.expected = ["status of 401", "status of 400"]
        await person.go("/try")
        send = page.get_by_role("button", name="Swap the face")
        await send.click()
        assert "Enter a key" in await problem(person, "[data-key-row]")
        await page.get_by_label("API key").fill("aio_wrong")
        await send.click()
        assert "Choose the scene first" in await problem(person, "[data-slot=image]")
        await page.locator("[data-slot=image] [data-sample=park]").click()
        await page.locator("[data-slot=face_image] [data-sample=woman]").click()
        await send.click()
        assert "Confirm this first" in await problem(person, "[data-consent-row]")
        await page.get_by_label("The people in these pictures agree").check()
        assert await page.locator("[data-consent-row] > [data-problem]").is_hidden()
        await send.click()
        assert "API key is not valid" in await problem(person, "[data-key-row]")

    async def test_of_pictures_and_options(self, person: Person) -> None:
        page = person.page
        await person.sign_up()
        person.expected = ["status of 400"]
        await person.go("/try")
        send = page.get_by_role("button", name="Swap the face")
        await drop(person, "face_image", "noise.jpg", jpeg(Image.effect_noise((400, 400), 50)))
        assert "No face was found" in await problem(person, "[data-slot=face_image]")
        await page.locator("#image-address").fill("http://127.0.0.1:9/none.jpg")
        await page.locator("[data-slot=image]").get_by_role("button", name="Use it").click()
        assert await problem(person, "[data-slot=image]")
        await page.locator("[data-slot=image]").get_by_role("button", name="Change").click()
        await page.locator("[data-slot=image] [data-sample=park]").click()
        await page.get_by_label("Longest side").fill("3")
        await send.click()
        assert await problem(person, "[data-options]")
        await page.get_by_label("Longest side").fill("")
        await page.get_by_label("The people in these pictures agree").check()
        await send.click()
        # The task fails, and says so beside the picture that is at fault.
        message = page.locator("[data-slot=face_image] [data-problem]", has_text="source picture")
        await message.or_(page.locator("[data-slot=face_image] [data-problem]:visible")).first.wait_for()
        await page.get_by_text("What was answered").click()
        assert '"no_face_found"' in await page.locator(".raw pre").nth(1).inner_text()

    async def test_a_file_that_is_no_picture_is_not_sent(self, person: Person) -> None:
        await person.go("/try")
        await person.page.locator("#image-file").set_input_files(
            {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"hello"}
        )
        assert "This is no picture" in await problem(person, "[data-slot=image]")

    async def test_too_few_credits_are_said_at_the_button(self, person: Person) -> None:
        page = person.page
        await person.sign_up()
        person.expected = ["status of 402"]
        refusal = {"code": 402, "message": "Too few.", "type": "insufficient_credits", "param": None}
        await page.route(
            "**/face-swap",
            lambda route: route.fulfill(status=402, json={"error": {**refusal, "request_id": "r"}}),
        )
        await person.go("/try")
        await page.locator("[data-slot=image] [data-sample=park]").click()
        await page.locator("[data-slot=face_image] [data-sample=woman]").click()
        await page.get_by_label("The people in these pictures agree").check()
        await page.get_by_role("button", name="Swap the face").click()
        assert "Too few. Get credits" in await problem(person, ".send")
